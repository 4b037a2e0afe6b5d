//! Holders of budgets, and the number of things that each holds at once.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kernel::UserId;

use crate::source::SourceNetwork;

/// Holder of a budget: a person, or a network where nobody knows who calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Holder {
    /// The person of a verified access token.
    Person(UserId),
    /// The network that a request or a connection comes from.
    Source(SourceNetwork),
}

/// Maximum holders that one thing counts for: the steps of an IPv6 source.
const STEPS: usize = 3;

/// Holders that one thing counts for, from the narrowest to the widest, each with the multiple of the budget that it
/// has.
#[derive(Debug, Clone, Copy)]
pub struct Holders([Option<(Holder, usize)>; STEPS]);

impl Holders {
    /// No holder: nothing is counted.
    pub const NOBODY: Self = Self([None; STEPS]);

    /// The person, if there is one, else the networks of the source.
    #[must_use]
    pub fn of(person: Option<UserId>, source: IpAddr) -> Self {
        person.map_or_else(|| Self::of_source(source), |person| Self([Some((Holder::Person(person), 1)), None, None]))
    }

    /// The networks of a source.
    #[must_use]
    pub fn of_source(source: IpAddr) -> Self {
        let mut holders = Self::NOBODY;
        for (slot, (network, multiple)) in holders.0.iter_mut().zip(SourceNetwork::steps(source)) {
            *slot = Some((Holder::Source(network), usize::try_from(multiple).unwrap_or(1)));
        }
        holders
    }

    /// The holders, each with its multiple.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Holder, usize)> {
        self.0.iter().flatten().copied()
    }

    /// Returns whether this holder is among them.
    pub(crate) fn contains(&self, holder: Holder) -> bool {
        self.iter().any(|(own, _)| own == holder)
    }
}

/// Number of things that each holder has.
#[derive(Debug, Default)]
pub(crate) struct Counts(HashMap<Holder, usize>);

impl Counts {
    /// Returns the narrowest holder that has used its budget: `each` times its multiple, or `most` whatever its
    /// multiple.
    pub(crate) fn exhausted(&self, holders: &Holders, each: usize, most: usize) -> Option<Holder> {
        let full = |&(holder, multiple): &(Holder, usize)| {
            self.0.get(&holder).is_some_and(|&held| held >= each.saturating_mul(multiple).min(most))
        };
        holders.iter().find(full).map(|(holder, _)| holder)
    }

    pub(crate) fn add(&mut self, holders: &Holders) {
        for (holder, _) in holders.iter() {
            *self.0.entry(holder).or_default() += 1;
        }
    }

    pub(crate) fn remove(&mut self, holders: &Holders) {
        for (holder, _) in holders.iter() {
            if let Some(held) = self.0.get_mut(&holder) {
                *held = held.saturating_sub(1);
                if *held == 0 {
                    self.0.remove(&holder);
                }
            }
        }
    }
}

/// Budget of each holder: at most so many things at once.
#[derive(Clone)]
pub struct Budget {
    each: usize,
    counts: Arc<Mutex<Counts>>,
}

/// A thing that counts until it is dropped.
#[derive(Debug)]
pub struct Held {
    holders: Holders,
    counts: Arc<Mutex<Counts>>,
}

impl Budget {
    /// A budget of `each` things for each holder.
    #[must_use]
    pub fn new(each: usize) -> Self {
        Self { each, counts: Arc::default() }
    }

    /// Counts one more thing for these holders, if none of them has its budget already.
    #[must_use]
    pub fn take(&self, holders: Holders) -> Option<Held> {
        let mut counts = lock(&self.counts);
        if counts.exhausted(&holders, self.each, usize::MAX).is_some() {
            return None;
        }
        counts.add(&holders);
        Some(Held { holders, counts: Arc::clone(&self.counts) })
    }
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Budget").field("each", &self.each).finish_non_exhaustive()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        lock(&self.counts).remove(&self.holders);
    }
}

fn lock(counts: &Mutex<Counts>) -> MutexGuard<'_, Counts> {
    counts.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Holders {
        Holders::of_source(text.parse().unwrap())
    }

    #[test]
    fn holder_over_budget_is_refused() {
        let budget = Budget::new(2);
        let held = [budget.take(source("192.0.2.1")), budget.take(source("192.0.2.1"))];
        assert!(held.iter().all(Option::is_some));
        assert!(budget.take(source("192.0.2.1")).is_none());
        assert!(budget.take(source("192.0.2.2")).is_some());
        drop(held);
        assert!(budget.take(source("192.0.2.1")).is_some());
        assert!(lock(&budget.counts).0.is_empty(), "nothing is counted that nobody holds");
    }

    #[test]
    fn person_is_counted_across_sources() {
        let budget = Budget::new(1);
        let person = |source: &str| Holders::of(Some(UserId::from_bytes([1; 16])), source.parse().unwrap());
        let _held = budget.take(person("192.0.2.1"));
        assert!(budget.take(person("192.0.2.2")).is_none());
        assert!(budget.take(source("192.0.2.1")).is_some());
    }

    #[test]
    fn ipv6_prefix_gets_multiple_of_budget() {
        let budget = Budget::new(4);
        let take = |subnet: u16| budget.take(source(&format!("2001:db8:1:{subnet:x}::1")));
        let of_64: Vec<_> = (0..8).map_while(|_| take(0)).collect();
        assert_eq!(of_64.len(), 4);
        let of_56: Vec<_> = (1..64).map_while(take).collect();
        assert_eq!(of_64.len() + of_56.len(), 8);
        let of_48: Vec<_> = (1..64).map_while(|subnet| take(subnet << 8)).collect();
        assert_eq!(of_64.len() + of_56.len() + of_48.len(), 16);
        assert!(budget.take(source("2001:db8:2::1")).is_some());
    }

    #[test]
    fn no_holder_is_never_over_budget() {
        let budget = Budget::new(1);
        let held: Vec<_> = (0..3).map(|_| budget.take(Holders::NOBODY)).collect();
        assert!(held.iter().all(Option::is_some));
    }
}
