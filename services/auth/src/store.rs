//! The table Users: its keys, its items and the conditions under which they change.
//!
//! | pk | sk | item |
//! |---|---|---|
//! | `EMAIL#<folded address>` | `ACCOUNT` | the password hash and whose it is; unique by its key, which earlier versions folded less |
//! | `USER#<id>` | `ACCOUNT` | the account |
//! | `USER#<id>` | `LOGIN#<login>` | one login, with the generation of its current refresh token |
//! | `FAILURES#<digest>` | `COUNT` | failed logins of an address or a source, and what a source has spent of a budget |
//! | `SIGNING` | `KEY#<number>` | a signing key, its private half sealed |

mod credentials;

use std::collections::HashMap;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use dynamo::secret::Secrets;
use dynamo::{Condition, EXPIRES_AT, Item, Key, KeyDef, Put, Read, Sort, Table, TableDef, Transact, Update, Verdict};
use kernel::{Email, Error, LoginId, Result, Role, Timestamp, UserId};
use serde::{Deserialize, Serialize};

use self::credentials::credential_key;
pub(crate) use self::credentials::{FoundCredential, Moved, ScannedCredentials};
use crate::login::Login;
use crate::model::RefreshToken;

/// The table of auth.
pub static USERS: TableDef = TableDef { name: "Users", key: KeyDef::PK_SK, indexes: &[], ttl: Some(EXPIRES_AT) };

const ACCOUNT: &str = "ACCOUNT";
const SIGNING: &str = "SIGNING";

/// The handle of the table.
#[derive(Debug, Clone)]
pub(crate) struct Store(Table);

/// An account.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Account {
    pub(crate) user_id: UserId,
    pub(crate) email: String,
    role: String,
    pub(crate) created_at: Timestamp,
    /// Epoch of the account, which each new password increments. A login of another epoch is over.
    pub(crate) epoch: u64,
}

/// Password hash of an account.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Credential {
    pub(crate) user_id: UserId,
    pub(crate) password_hash: String,
    /// Epoch of the account when the password was set.
    pub(crate) epoch: u64,
}

/// The failures that are counted of an address or a source, or what a source has spent of a budget.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) struct Failures {
    pub(crate) count: u32,
    /// Time in seconds until which the next try is refused; 0 if it isn't.
    pub(crate) blocked_until: i64,
    /// Time in seconds at which the count is forgotten.
    pub(crate) expires_at: i64,
}

/// Outcome of a password change.
pub(crate) enum Changed {
    Done,
    /// Somebody else changed the account meanwhile.
    Conflict,
    /// The caller's login is over.
    LoggedOut,
}

/// Pseudonym of an address or a source, of which failures are counted.
#[derive(Debug, Clone)]
pub(crate) struct Subject(String);

/// A signing key as it is stored.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct KeyRecord {
    pub(crate) number: u32,
    pub(crate) kid: String,
    pub(crate) public: String,
    #[serde(with = "serde_bytes")]
    pub(crate) sealed: Vec<u8>,
    pub(crate) active_from: Timestamp,
}

impl Account {
    pub(crate) fn new(user_id: UserId, email: &Email, role: Role, now: Timestamp) -> Self {
        Self { user_id, email: email.as_str().to_owned(), role: role.as_str().to_owned(), created_at: now, epoch: 1 }
    }

    pub(crate) fn address(&self) -> Email {
        Email::from_stored(self.email.clone())
    }

    pub(crate) fn role(&self) -> Result<Role> {
        self.role.parse().map_err(|()| Error::internal("an account has no role that there is"))
    }
}

/// Names subjects by a keyed digest (HMAC-SHA256): addresses that have no account here are not kept in the clear.
#[derive(Clone)]
pub(crate) struct Subjects(hmac::Key);

impl Subjects {
    pub(crate) fn new(secrets: &Secrets) -> Result<Self> {
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, secrets.derive("auth/failures")?.as_slice())))
    }

    /// Returns the subject of an address, whether it has an account or not.
    pub(crate) fn account(&self, email: &Email) -> Subject {
        self.of("account", &email.folded())
    }

    /// Returns the subject of a network that requests come from.
    pub(crate) fn source(&self, network: &str) -> Subject {
        self.of("source", network)
    }

    /// Returns the subject of a network, for its spending on the budget of this name.
    pub(crate) fn budget(&self, name: &str, network: &str) -> Subject {
        self.of(name, network)
    }

    fn of(&self, kind: &str, what: &str) -> Subject {
        Subject(URL_SAFE_NO_PAD.encode(hmac::sign(&self.0, format!("{kind}#{what}").as_bytes())))
    }
}

impl Subject {
    fn key(&self) -> Key {
        Key::new(format!("FAILURES#{}", self.0), "COUNT")
    }
}

fn user_key(user: UserId) -> Key {
    Key::new(format!("USER#{user}"), ACCOUNT)
}

fn login_key(user: UserId, login: LoginId) -> Key {
    Key::new(format!("USER#{user}"), format!("LOGIN#{login}"))
}

fn signing_key(number: u32) -> Key {
    Key::new(SIGNING, format!("KEY#{number:08}"))
}

impl Store {
    pub(crate) const fn new(table: Table) -> Self {
        Self(table)
    }

    pub(crate) async fn account(&self, user: UserId) -> Result<Option<Account>> {
        self.0.get(&user_key(user), Read::Consistent).await
    }

    pub(crate) async fn login(&self, user: UserId, id: LoginId) -> Result<Option<Login>> {
        self.0.get(&login_key(user, id), Read::Consistent).await
    }

    /// Replaces the password of an account, whose credential is in this form, and ends every login but one, if nobody else
    /// changed it meanwhile and that login is open. It also ends the grace period of every refresh token that was used before.
    pub(crate) async fn change_password(
        &self,
        account: &Account,
        form: &str,
        (old_hash, new_hash): (&str, &str),
        keep: LoginId,
        now: Timestamp,
    ) -> Result<Changed> {
        let epoch = account.epoch + 1;
        let changed = self.0.transact([
            self.0
                .update(&credential_key(form))
                .set("password_hash", new_hash)
                .set("epoch", epoch)
                .when(Condition::eq("password_hash", old_hash))
                .into(),
            self.0
                .update(&user_key(account.user_id))
                .set("epoch", epoch)
                .when(Condition::eq("epoch", account.epoch))
                .into(),
            self.0
                .update(&login_key(account.user_id, keep))
                .set("epoch", epoch)
                .remove("rotated_at")
                .when(Login::open_condition(account.epoch, now))
                .into(),
        ]);
        Ok(match changed.await? {
            Transact::Done => Changed::Done,
            Transact::Failed(verdicts) if verdicts.iter().take(2).any(Verdict::is_condition_failed) => {
                Changed::Conflict
            }
            Transact::Failed(_) => Changed::LoggedOut,
        })
    }

    /// Ends an account: first its credential, then its logins. Returns its address, if it was there.
    pub(crate) async fn end_account(&self, user: UserId) -> Result<Option<Email>> {
        let mut address = None;
        if let Some(account) = self.account(user).await? {
            let email = account.address();
            let found = self.credentials(&email).await?.into_iter().find(|found| found.credential.user_id == user);
            // Only another call that ends the same account, or one that moves its credential, can have been faster.
            let raced = || Error::unavailable("the credential of an account was moved or deleted meanwhile");
            let FoundCredential { form, .. } = found.ok_or_else(raced)?;
            let ended = self.0.transact([
                self.0.delete(&credential_key(&form)).when(Condition::eq("user_id", user)).into(),
                self.0.delete(&user_key(user)).into(),
            ]);
            if let Transact::Failed(_) = ended.await? {
                return Err(raced());
            }
            address = Some(email);
        }
        loop {
            let logins = self.0.query(format!("USER#{user}")).sort(Sort::BeginsWith("LOGIN#".to_owned())).consistent();
            let rows = logins.limit(25).page().await?;
            for item in &rows.items {
                let id = item.text("sk").ok_or_else(|| Error::internal("an item has no key"))?;
                let _ = self.0.delete(&Key::new(format!("USER#{user}"), id)).run().await?;
            }
            if rows.next.is_none() {
                return Ok(address);
            }
        }
    }

    pub(crate) async fn add_login(&self, user: UserId, id: LoginId, login: Login) -> Result<()> {
        match self.0.put_new(&login_key(user, id), &login).await? {
            Put::Done => Ok(()),
            Put::Exists(_) => Err(Error::internal("a new login's id is taken")),
        }
    }

    /// Moves a login on to its next refresh token, if `used` is the current one. Otherwise returns the login as it is
    /// stored; `None` if it is not.
    pub(crate) async fn rotate(
        &self,
        used: RefreshToken,
        next: Login,
        now: Timestamp,
    ) -> Result<std::result::Result<(), Option<Login>>> {
        let good = Condition::eq("generation", used.generation).and(Login::open_condition(next.epoch, now));
        let rotated = self
            .0
            .update(&login_key(used.user, used.login))
            .set("generation", next.generation)
            .set(EXPIRES_AT, next.expires_at)
            .set("rotated_at", next.rotated_at)
            .set("rotated_by", next.rotated_by)
            .when(good);
        match rotated.run().await? {
            Update::Done(_) => Ok(Ok(())),
            Update::ConditionFailed(there) => Ok(Err(there.map(Item::parse).transpose()?)),
        }
    }

    /// Returns those of these logins that are over. They and their accounts are read by one call for each hundred
    /// items.
    pub(crate) async fn ended_logins(
        &self,
        mut logins: Vec<(UserId, LoginId)>,
        now: Timestamp,
    ) -> Result<Vec<(UserId, LoginId)>> {
        let keys = logins.iter().flat_map(|(user, login)| [user_key(*user), login_key(*user, *login)]).collect();
        let (mut epochs, mut there) = (HashMap::new(), HashMap::new());
        for item in self.0.batch_get(keys, Read::Consistent).await? {
            let (Some(pk), Some(sk)) = (item.text("pk"), item.text("sk")) else { continue };
            if sk == ACCOUNT {
                let Account { user_id, epoch, .. } = item.parse()?;
                epochs.insert(user_id, epoch);
            } else {
                there.insert(Key::new(pk, sk), item.parse::<Login>()?);
            }
        }
        logins.retain(|(user, login)| {
            let both = epochs.get(user).zip(there.get(&login_key(*user, *login)));
            !both.is_some_and(|(epoch, login)| login.is_open(*epoch, now))
        });
        Ok(logins)
    }

    pub(crate) async fn end_login(&self, user: UserId, id: LoginId) -> Result<()> {
        self.0.delete(&login_key(user, id)).run().await.map(|_| ())
    }

    pub(crate) async fn failures(&self, subject: &Subject) -> Result<Failures> {
        Ok(self.0.get(&subject.key(), Read::Consistent).await?.unwrap_or_default())
    }

    /// Returns what is counted of each of these subjects, in their order, by one call.
    pub(crate) async fn counted(&self, subjects: &[&Subject]) -> Result<Vec<Failures>> {
        let keys = subjects.iter().map(|subject| subject.key()).collect();
        let mut counted = HashMap::new();
        for item in self.0.batch_get(keys, Read::Consistent).await? {
            let (Some(pk), Some(sk)) = (item.text("pk"), item.text("sk")) else { continue };
            counted.insert(Key::new(pk, sk), item.parse::<Failures>()?);
        }
        Ok(subjects.iter().map(|subject| counted.get(&subject.key()).copied().unwrap_or_default()).collect())
    }

    /// Counts one more failure. `was` is the previous count; a count that is forgotten begins anew, unless a concurrent
    /// call has begun it by now.
    pub(crate) async fn count_failure(
        &self,
        subject: &Subject,
        was: Failures,
        more: Failures,
        now: Timestamp,
    ) -> Result<()> {
        let change = || {
            let update = self.0.update(&subject.key());
            update.set("blocked_until", more.blocked_until).set(EXPIRES_AT, more.expires_at)
        };
        if was.count == 0 {
            let forgotten = Condition::absent().or(Condition::le(EXPIRES_AT, now.as_second()));
            if let Update::Done(_) = change().set("count", more.count).when(forgotten).run().await? {
                return Ok(());
            }
        }
        change().add("count", 1).run().await.map(|_| ())
    }

    pub(crate) async fn forget_failures(&self, subject: &Subject) -> Result<()> {
        self.0.delete(&subject.key()).run().await.map(|_| ())
    }

    /// Returns every signing key, oldest first.
    pub(crate) async fn signing_keys(&self) -> Result<Vec<KeyRecord>> {
        self.0.query(SIGNING).sort(Sort::BeginsWith("KEY#".to_owned())).consistent().page().await?.parse()
    }

    /// Stores a key under its number, unless another replica was faster.
    pub(crate) async fn add_signing_key(&self, record: &KeyRecord) -> Result<()> {
        self.0.put_new(&signing_key(record.number), record).await.map(|_| ())
    }

    pub(crate) async fn drop_signing_key(&self, record: &KeyRecord) -> Result<()> {
        self.0.delete(&signing_key(record.number)).run().await.map(|_| ())
    }
}
