//! Budgets that a source spends in an hour: accounts that it registers, and answers that tell of an account.
//!
//! Everything that lets somebody without a login find out whether an address has an account spends here.

use std::net::IpAddr;
use std::sync::Arc;

use chassis::KeyedMutex;
use futures_util::future::try_join_all;
use kernel::{Clock, Error, Kind, Result, SourceNetwork};
use tokio::sync::SemaphorePermit;

use crate::Config;
use crate::store::{Failures, Store, Subject, Subjects};
use crate::throttle::Policy;

/// Window of a budget in seconds.
const WINDOW: i64 = 3600;
/// Maximum answers in a window that an address is taken.
const TAKEN_ADDRESSES: u32 = 20;

/// What a source spends.
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
    turns: KeyedMutex,
    clock: Arc<dyn Clock>,
}

/// A source's turn: nobody else spends what it has, within this replica, until the turn is dropped.
pub(crate) struct Turn<'a> {
    budgets: &'a Budgets,
    allowances: Vec<Allowance>,
    _turn: SemaphorePermit<'a>,
}

/// What one network of the source has spent of one budget.
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
        Self { store, subjects, registrations: config.source_registrations, turns: KeyedMutex::default(), clock }
    }

    /// Waits for the source's turn, and refuses a source that has spent any of its budgets, whatever it asks for: so a free
    /// address and a taken one are answered alike from then on.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED (`TOO_MANY_REGISTRATIONS`), UNAVAILABLE.
    pub(crate) async fn turn(&self, source: IpAddr) -> Result<Turn<'_>> {
        let turn = self.turns.take(SourceNetwork::widest(source)).await?;
        let mut allowances: Vec<_> = SourceNetwork::steps(source).flat_map(|step| self.allowances(step)).collect();
        let subjects: Vec<_> = allowances.iter().map(|allowance| &allowance.subject).collect();
        let (counted, now) = (self.store.counted(&subjects).await?, self.clock.now());
        for (allowance, counted) in allowances.iter_mut().zip(counted) {
            allowance.spent = Policy::present(counted, now);
        }
        match allowances.iter().filter_map(|allowance| Policy::wait(allowance.spent, now)).max() {
            Some(wait) => {
                let message = "too many registrations from your network; wait before the next one";
                Err(Error::new(Kind::ResourceExhausted, "TOO_MANY_REGISTRATIONS", message).retry_after(wait))
            }
            None => Ok(Turn { budgets: self, allowances, _turn: turn }),
        }
    }

    /// Each budget of a network that has so many times that of a single source.
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

impl Turn<'_> {
    /// Spends one of a budget, and ends the turn.
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
