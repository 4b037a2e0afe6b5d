//! Use cases of auth, from validated requests to answers.

use std::net::IpAddr;
use std::sync::Arc;

use kernel::{Clock, Email, Entropy, Error, LoginId, Person, Result, Timestamp, UserId};

use crate::Config;
use crate::budget::{Budget, Budgets};
use crate::error::{
    account_conflict, bad_credentials, email_taken, login_ended, refresh_token_invalid, wrong_password,
};
use crate::guard::Guard;
use crate::login::{Login, Replica};
use crate::model::{RefreshToken, Registration};
use crate::password::{Hasher, Password};
use crate::store::{Account, Changed, FoundCredential, Store};
use crate::token::{AccessSigner, RefreshTokens};

/// Use cases with their dependencies.
pub(crate) struct Ops {
    pub(crate) store: Store,
    pub(crate) hasher: Hasher,
    pub(crate) guard: Guard,
    pub(crate) budgets: Budgets,
    pub(crate) signer: AccessSigner,
    pub(crate) refresh_tokens: RefreshTokens,
    pub(crate) replica: Replica,
    pub(crate) config: Config,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
}

/// Tokens of a login or a refresh.
pub(crate) struct Tokens {
    pub(crate) access: String,
    pub(crate) refresh: String,
    pub(crate) account: Account,
}

impl Ops {
    pub(crate) async fn register(&self, registration: Registration, source: IpAddr) -> Result<Account> {
        let Registration { email, password, role } = registration;
        self.guard.check_source(source).await?;
        self.reserve(&email, source).await?;
        let hash = self.hasher.slot(source).await?.hash(password).await?;
        let id = UserId::generate(&*self.clock, &*self.entropy);
        let account = Account::new(id, &email, role, self.clock.now());
        if self.store.add_account(&account, &email, hash).await? {
            return Ok(account);
        }
        self.budgets.lock(source).await?.spend(Budget::TakenAddresses).await?;
        Err(email_taken())
    }

    /// Spends one registration or one answer that the address is taken, before anything is disclosed. The condition of
    /// the later write decides which it is; the lookup here saves the hash.
    async fn reserve(&self, email: &Email, source: IpAddr) -> Result<()> {
        let budgets = self.budgets.lock(source).await?;
        if !self.store.credentials(email).await?.is_empty() {
            budgets.spend(Budget::TakenAddresses).await?;
            return Err(email_taken());
        }
        budgets.spend(Budget::Registrations).await
    }

    pub(crate) async fn login(&self, email: Email, password: Password, source: IpAddr) -> Result<Tokens> {
        let found = self.guard.verify_password(email, None, password, source).await?.ok_or_else(bad_credentials)?;
        let credential = found.credential;
        let account = self.store.account(credential.user_id).await?.ok_or_else(bad_credentials)?;
        // The password was changed, or the account ended, during the verification: it was right a moment ago.
        if account.epoch != credential.epoch {
            return Err(bad_credentials());
        }
        let id = LoginId::generate(&*self.clock, &*self.entropy);
        let login = Login::begun(credential.epoch, self.clock.now(), self.login_expiry());
        let tokens = self.tokens(account, id, login).await?;
        self.store.add_login(credential.user_id, id, login).await?;
        Ok(tokens)
    }

    pub(crate) async fn refresh(&self, text: &str) -> Result<Tokens> {
        let used = self.refresh_tokens.open(text).ok_or_else(refresh_token_invalid)?;
        let found = tokio::try_join!(self.store.account(used.user), self.store.login(used.user, used.login))?;
        let (Some(account), Some(login)) = found else { return Err(refresh_token_invalid()) };
        let (epoch, now) = (account.epoch, self.clock.now());
        let next = login.rotated(used.generation, epoch, self.login_expiry(), self.replica, now);
        // Made before the old token is spent: what fails here can be tried again.
        let tokens = self.tokens(account, used.login, next).await?;
        match self.store.rotate(used, next, now).await? {
            Ok(()) => Ok(tokens),
            Err(None) => Err(refresh_token_invalid()),
            // The answer that carried this successor may have been lost.
            Err(Some(login)) if login.in_grace(used.generation, epoch, self.replica, self.clock.now()) => Ok(tokens),
            Err(Some(login)) => {
                if used.generation < login.generation {
                    // A used token was presented again: the owner and the thief can't be told apart, so the login ends
                    // for both.
                    tracing::warn!("a refresh token was used twice: its login is ended");
                    self.store.end_login(used.user, used.login).await?;
                }
                Err(refresh_token_invalid())
            }
        }
    }

    pub(crate) async fn logout(&self, person: Person) -> Result<()> {
        self.store.end_login(person.user_id, person.login_id).await
    }

    /// Returns those of these logins that have ended.
    pub(crate) async fn ended_logins(&self, logins: Vec<(UserId, LoginId)>) -> Result<Vec<(UserId, LoginId)>> {
        let ended = self.store.ended_logins(logins, self.clock.now()).await?;
        // A new password changes the account and the login that stays in one transaction, and a batch may read one of
        // the two before it and the other after. So what seems to have ended is read again.
        self.store.ended_logins(ended, self.clock.now()).await
    }

    pub(crate) async fn me(&self, person: Person) -> Result<Account> {
        self.store.account(person.user_id).await?.ok_or_else(Error::account_ended)
    }

    pub(crate) async fn change_password(
        &self,
        person: Person,
        current: Password,
        new: Password,
        source: IpAddr,
    ) -> Result<()> {
        let account = self.me(person).await?;
        let verified = self.guard.verify_password(account.address(), Some(person.user_id), current, source).await?;
        let FoundCredential { form, credential } = verified.ok_or_else(wrong_password)?;
        let hash = self.hasher.slot(source).await?.hash(new).await?;
        let (hashes, now) = ((credential.password_hash.as_str(), hash.as_str()), self.clock.now());
        match self.store.change_password(&account, &form, hashes, person.login_id, now).await? {
            Changed::Done => Ok(()),
            Changed::Conflict => Err(account_conflict()),
            Changed::LoggedOut => Err(login_ended()),
        }
    }

    /// Ends an account. Idempotent.
    pub(crate) async fn end_account(&self, user: UserId) -> Result<()> {
        if let Some(email) = self.store.end_account(user).await? {
            self.guard.forget(&email).await?;
        }
        Ok(())
    }

    async fn tokens(&self, account: Account, login_id: LoginId, login: Login) -> Result<Tokens> {
        let person = Person { user_id: account.user_id, role: account.role()?, login_id };
        let refresh = RefreshToken { user: account.user_id, login: login_id, generation: login.generation };
        let access = self.signer.sign(person, login.auth_time).await?;
        Ok(Tokens { access, refresh: self.refresh_tokens.seal(refresh), account })
    }

    fn login_expiry(&self) -> i64 {
        let end = self.clock.now().saturating_add(self.config.refresh_token_life).unwrap_or(Timestamp::MAX);
        end.as_second()
    }
}
