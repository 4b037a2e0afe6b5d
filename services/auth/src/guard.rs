//! Verifies passwords: failures are counted and throttled, and hashing leaves room for everything else.

use std::net::IpAddr;
use std::sync::Arc;

use chassis::{KeyedMutex, Tasks};
use kernel::{Clock, Email, Error, Result, UserId};
use transport::SourceNetwork;

use crate::Config;
use crate::password::{Hasher, Password};
use crate::store::{Failures, FoundCredential, Store, Subject, Subjects};
use crate::throttle::Policy;

/// Verifies passwords.
#[derive(Clone)]
pub(crate) struct Guard(Arc<Inner>);

struct Inner {
    store: Store,
    hasher: Hasher,
    subjects: Subjects,
    by_account: Policy,
    by_source: Policy,
    /// Locks by address, held from reading its failures until one more is counted: so concurrent guesses are counted
    /// like sequential ones.
    locks: KeyedMutex<String>,
    clock: Arc<dyn Clock>,
    tasks: Tasks,
}

impl Guard {
    pub(crate) fn new(
        store: Store,
        hasher: Hasher,
        subjects: Subjects,
        config: &Config,
        clock: Arc<dyn Clock>,
        tasks: Tasks,
    ) -> Self {
        Self(Arc::new(Inner {
            store,
            hasher,
            subjects,
            by_account: Policy::account(config),
            by_source: Policy::source(config),
            locks: KeyedMutex::default(),
            clock,
            tasks,
        }))
    }

    /// Returns the credential of an address, if the password is its own. Where several accounts have the address in
    /// different spellings, it is that of `owner` or, without one, that of the spelling as typed.
    ///
    /// Otherwise counts a failure of the address and of the source, even if the caller has hung up by then. While
    /// either has too many failures, nothing is verified.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED (`TOO_MANY_FAILURES`), UNAVAILABLE.
    pub(crate) async fn verify_password(
        &self,
        email: Email,
        owner: Option<UserId>,
        password: Password,
        source: IpAddr,
    ) -> Result<Option<FoundCredential>> {
        let inner = Arc::clone(&self.0);
        let verified =
            self.0.tasks.to_completion(async move { inner.verify_password(&email, owner, password, source).await });
        verified.await.ok_or_else(|| Error::internal("a password could not be proved to the end"))?
    }

    /// Refuses a source that has too many failures.
    pub(crate) async fn check_source(&self, source: IpAddr) -> Result<()> {
        self.0.present(&self.0.subjects.source(&SourceNetwork::of(source).to_string())).await.map(|_| ())
    }

    pub(crate) async fn forget(&self, email: &Email) -> Result<()> {
        self.0.store.forget_failures(&self.0.subjects.account(email)).await
    }
}

impl Inner {
    async fn verify_password(
        &self,
        email: &Email,
        owner: Option<UserId>,
        password: Password,
        source: IpAddr,
    ) -> Result<Option<FoundCredential>> {
        let (of_account, of_source) =
            (self.subjects.account(email), self.subjects.source(&SourceNetwork::of(source).to_string()));
        let _lock = self.locks.lock(email.folded()).await;
        let (account, found) = tokio::try_join!(self.present(&of_account), self.store.credentials(email))?;
        let found = found.into_iter().find(|found| owner.is_none_or(|owner| found.credential.user_id == owner));
        // A throttled source takes no hashing thread.
        self.present(&of_source).await?;
        let slot = self.hasher.slot(source).await?;
        let source = self.present(&of_source).await?;
        let hash = found.as_ref().map(|found| found.credential.password_hash.as_str());
        let verified = slot.verify(password, hash).await?;
        drop(slot);
        if verified {
            if account.count > 0 {
                self.store.forget_failures(&of_account).await?;
            }
            return Ok(found);
        }
        let now = self.clock.now();
        tokio::try_join!(
            self.store.count_failure(&of_account, account, self.by_account.failed(account, now), now),
            self.store.count_failure(&of_source, source, self.by_source.failed(source, now), now)
        )?;
        Ok(None)
    }

    /// Returns the present failures of a subject; refuses it while it is throttled.
    async fn present(&self, subject: &Subject) -> Result<Failures> {
        let now = self.clock.now();
        let present = Policy::present(self.store.failures(subject).await?, now);
        Policy::check(present, now)?;
        Ok(present)
    }
}
