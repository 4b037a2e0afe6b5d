//! What auth does: the use cases, from validated requests to answers.

use std::net::IpAddr;
use std::sync::Arc;

use kernel::{Clock, Email, Entropy, Error, Kind, LoginId, Person, Result, Role, Timestamp, UserId};

use crate::Config;
use crate::password::{Hasher, Password, Slot};
use crate::store::{Account, Credential, Login, Store, Subject};
use crate::throttle::{Policy, network};
use crate::token::{AccessSigner, RefreshToken, RefreshTokens};

/// The use cases and what they need.
pub(crate) struct Ops {
    pub(crate) store: Store,
    pub(crate) hasher: Hasher,
    pub(crate) signer: AccessSigner,
    pub(crate) refresh_tokens: RefreshTokens,
    pub(crate) config: Config,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
}

/// An account to make.
pub(crate) struct Registration {
    pub(crate) email: Email,
    pub(crate) password: Password,
    pub(crate) role: Role,
}

/// What a login or a refresh gives.
pub(crate) struct Tokens {
    pub(crate) access: String,
    pub(crate) refresh: String,
    pub(crate) account: Account,
}

impl Ops {
    pub(crate) async fn register(&self, registration: Registration) -> Result<Account> {
        let Registration { email, password, role } = registration;
        // The condition of the write decides; this only saves the hash.
        if self.store.credential(&email).await?.is_some() {
            return Err(email_taken());
        }
        let hash = self.hasher.slot().await?.hash(password).await?;
        let id = UserId::generate(&*self.clock, &*self.entropy);
        let account = Account::new(id, &email, role, self.clock.now());
        if self.store.add_account(&account, &email, hash).await? { Ok(account) } else { Err(email_taken()) }
    }

    pub(crate) async fn login(&self, email: &Email, password: Password, source: IpAddr) -> Result<Tokens> {
        let slot = self.hasher.slot().await?;
        let Some(credential) = self.prove(&slot, email, password, source).await? else {
            return Err(Error::new(
                Kind::Unauthenticated,
                "BAD_CREDENTIALS",
                "the e-mail address or the password is wrong",
            ));
        };
        drop(slot);
        // Ended between the two reads: as if it had never been there.
        let account = self.store.account(credential.user_id).await?.ok_or_else(account_ended)?;
        let id = LoginId::generate(&*self.clock, &*self.entropy);
        let login = Login { generation: 1, epoch: account.epoch, expires_at: self.login_expiry() };
        self.store.add_login(account.user_id, id, login).await?;
        self.tokens(account, id, login).await
    }

    /// The credential of an address, if the password is its own. Counts a failure, of the address and of the source, if
    /// it isn't; and refuses to look while either has too many.
    async fn prove(
        &self,
        slot: &Slot,
        email: &Email,
        password: Password,
        source: IpAddr,
    ) -> Result<Option<Credential>> {
        let now = self.clock.now();
        let (of_account, of_source) = (Subject::account(email), Subject::source(&network(source)));
        let (account, source, credential) = tokio::try_join!(
            self.store.failures(&of_account),
            self.store.failures(&of_source),
            self.store.credential(email)
        )?;
        let (account, source) = (Policy::present(account, now), Policy::present(source, now));
        Policy::check(account, now)?;
        Policy::check(source, now)?;

        let hash = credential.as_ref().map(|credential| credential.password_hash.as_str());
        if slot.verify(password, hash).await? {
            if account.count > 0 {
                self.store.forget_failures(&of_account).await?;
            }
            return Ok(credential);
        }
        let (by_account, by_source) = (Policy::account(&self.config), Policy::source(&self.config));
        tokio::try_join!(
            self.store.count_failure(&of_account, account, by_account.failed(account, now)),
            self.store.count_failure(&of_source, source, by_source.failed(source, now))
        )?;
        Ok(None)
    }

    pub(crate) async fn refresh(&self, text: &str) -> Result<Tokens> {
        let used = self.refresh_tokens.open(text).ok_or_else(refresh_token_invalid)?;
        let account = self.store.account(used.user).await?.ok_or_else(refresh_token_invalid)?;
        let next = Login { generation: used.generation + 1, epoch: account.epoch, expires_at: self.login_expiry() };
        match self.store.rotate(used, next, self.clock.now()).await? {
            Ok(()) => self.tokens(account, used.login, next).await,
            Err(None) => Err(refresh_token_invalid()),
            Err(Some(login)) => {
                if used.generation < login.generation {
                    // Somebody has a copy of a token that was used already: nobody can tell who, so nobody stays in.
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

    pub(crate) async fn me(&self, person: Person) -> Result<Account> {
        self.store.account(person.user_id).await?.ok_or_else(account_ended)
    }

    pub(crate) async fn change_password(
        &self,
        person: Person,
        current: Password,
        new: Password,
        source: IpAddr,
    ) -> Result<()> {
        let account = self.me(person).await?;
        let email: Email = account.email.parse().map_err(|_| Error::internal("an account has no address"))?;
        let slot = self.hasher.slot().await?;
        let Some(credential) = self.prove(&slot, &email, current, source).await? else {
            return Err(Error::new(
                Kind::PermissionDenied,
                "WRONG_PASSWORD",
                "currentPassword: is not the password of the account",
            ));
        };
        let hash = slot.hash(new).await?;
        let hashes = (credential.password_hash.as_str(), hash.as_str());
        if self.store.change_password(&account, &email, hashes, person.login_id).await? {
            return Ok(());
        }
        // The login that asks, or the password that it proved, was ended by somebody else in between.
        Err(Error::new(Kind::Aborted, "CONFLICT", "the account was changed at the same time; log in and try again"))
    }

    /// Ends an account. Idempotent.
    pub(crate) async fn end_account(&self, user: UserId) -> Result<()> {
        self.store.end_account(user).await
    }

    async fn tokens(&self, account: Account, login_id: LoginId, login: Login) -> Result<Tokens> {
        let person = Person { user_id: account.user_id, role: account.role()?, login_id };
        let refresh = RefreshToken { user: account.user_id, login: login_id, generation: login.generation };
        let access = self.signer.sign(person).await?;
        Ok(Tokens { access, refresh: self.refresh_tokens.seal(refresh), account })
    }

    fn login_expiry(&self) -> i64 {
        let end = self.clock.now().saturating_add(self.config.refresh_token_life).unwrap_or(Timestamp::MAX);
        end.as_second()
    }
}

fn email_taken() -> Error {
    Error::new(Kind::AlreadyExists, "EMAIL_TAKEN", "email: this address has an account; log in, or use another one")
}

fn account_ended() -> Error {
    Error::new(Kind::Unauthenticated, "ACCOUNT_ENDED", "this account has been ended")
}

fn refresh_token_invalid() -> Error {
    Error::new(Kind::Unauthenticated, "REFRESH_TOKEN_INVALID", "refreshToken: is not good any more; log in again")
}
