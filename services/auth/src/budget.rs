//! Hourly budgets of a source: accounts that it registers, and answers that tell of an account.
//!
//! Every answer that tells somebody without a login whether an address has an account is counted here.

use std::net::IpAddr;
use std::sync::Arc;

use chassis::{KeyedMutex, KeyedMutexGuard};
use futures_util::future::try_join_all;
use kernel::{Clock, Result};
use transport::SourceNetwork;

use crate::Config;
use crate::error::too_many_registrations;
use crate::store::{Failures, Store, Subject, Subjects};
use crate::throttle::Policy;

/// Window of a budget in seconds.
const WINDOW: i64 = 3600;
/// Maximum answers in a window that an address is taken.
const TAKEN_ADDRESSES: u32 = 20;

/// A budget of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Budget {
    /// Registrations of free addresses.
    Registrations,
    /// Answers that an address is taken.
    TakenAddresses,
}

/// The budgets of all sources.
pub(crate) struct Budgets {
    store: Store,
    subjects: Subjects,
    registrations: u32,
    locks: KeyedMutex<SourceNetwork>,
    clock: Arc<dyn Clock>,
}

/// Locked budgets of a source: within this replica, nobody else spends them until this is dropped.
pub(crate) struct LockedBudgets<'a> {
    budgets: &'a Budgets,
    allowances: Vec<Allowance>,
    _lock: KeyedMutexGuard<'a, SourceNetwork>,
}

/// Spending of one network of the source on one budget.
struct Allowance {
    budget: Budget,
    policy: Policy,
    subject: Subject,
    spent: Failures,
}

impl Budget {
    const ALL: [Self; 2] = [Self::Registrations, Self::TakenAddresses];

    /// Name under which it is counted.
    const fn name(self) -> &'static str {
        match self {
            Self::Registrations => "registrations",
            Self::TakenAddresses => "taken-addresses",
        }
    }
}

impl Budgets {
    pub(crate) fn new(store: Store, subjects: Subjects, config: &Config, clock: Arc<dyn Clock>) -> Self {
        Self { store, subjects, registrations: config.source_registrations, locks: KeyedMutex::default(), clock }
    }

    /// Locks the source's budgets, and refuses a source that has exhausted any of them, whatever it asks for: so a free
    /// address and a taken one are answered alike from then on.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED (`TOO_MANY_REGISTRATIONS`), UNAVAILABLE.
    pub(crate) async fn lock(&self, source: IpAddr) -> Result<LockedBudgets<'_>> {
        let lock = self.locks.lock(SourceNetwork::widest(source)).await;
        let mut allowances: Vec<_> = SourceNetwork::steps(source).flat_map(|step| self.allowances(step)).collect();
        let subjects: Vec<_> = allowances.iter().map(|allowance| &allowance.subject).collect();
        let (counted, now) = (self.store.counted(&subjects).await?, self.clock.now());
        for (allowance, counted) in allowances.iter_mut().zip(counted) {
            allowance.spent = Policy::present(counted, now);
        }
        match allowances.iter().filter_map(|allowance| Policy::wait(allowance.spent, now)).max() {
            Some(wait) => Err(too_many_registrations(wait)),
            None => Ok(LockedBudgets { budgets: self, allowances, _lock: lock }),
        }
    }

    /// Returns each budget of a network, whose limits are this multiple of those of a single source.
    fn allowances(&self, (network, multiple): (SourceNetwork, u32)) -> [Allowance; 2] {
        Budget::ALL.map(|budget| Allowance {
            budget,
            policy: Policy::Source { free: self.limit(budget).saturating_mul(multiple), window: WINDOW },
            subject: self.subjects.budget(budget.name(), &network.to_string()),
            spent: Failures::default(),
        })
    }

    const fn limit(&self, budget: Budget) -> u32 {
        match budget {
            Budget::Registrations => self.registrations,
            Budget::TakenAddresses => TAKEN_ADDRESSES,
        }
    }
}

impl LockedBudgets<'_> {
    /// Spends one unit of a budget, and releases the lock.
    pub(crate) async fn spend(self, budget: Budget) -> Result<()> {
        let (store, now) = (&self.budgets.store, self.budgets.clock.now());
        let spend = |allowance: &Allowance| {
            let more = allowance.policy.failed(allowance.spent, now);
            let (subject, spent) = (allowance.subject.clone(), allowance.spent);
            async move { store.count_failure(&subject, spent, more, now).await }
        };
        try_join_all(self.allowances.iter().filter(|allowance| allowance.budget == budget).map(spend)).await.map(drop)
    }
}
