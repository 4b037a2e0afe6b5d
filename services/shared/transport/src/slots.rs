//! Bounded pool of slots in which a newcomer replaces the member that has been idle longest: of its own holder where
//! that one has used its budget, of all where the pool is full. So idle members keep no active ones out.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::budget::{Counts, Holder, Holders};

/// A member that can be replaced while it is idle.
pub(crate) trait Idle {
    /// Returns the instant since which it is idle; none if it is not.
    fn idle_since(&self) -> Option<Instant>;
}

/// Bounded pool of slots.
pub(crate) struct SlotPool<T> {
    most: usize,
    each: usize,
    state: Mutex<State<T>>,
    freed: Notify,
}

struct State<T> {
    next: u64,
    members: HashMap<u64, Member<T>>,
    counts: Counts,
}

struct Member<T> {
    holders: Holders,
    replaced: CancellationToken,
    item: T,
}

/// Reason for which a newcomer has no slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Full {
    /// Its holder has used its budget, and none of the holder's members is idle.
    Holder,
    /// All slots are taken, and no member is idle.
    Pool,
}

/// Slot of a member, until it is dropped or given to a newcomer.
pub(crate) struct Slot<T: Idle> {
    pool: Arc<SlotPool<T>>,
    number: u64,
    replaced: CancellationToken,
}

impl<T: Idle> SlotPool<T> {
    /// Creates a pool of `most` slots, `each` for one holder, and for no network more than half, or two.
    pub(crate) fn new(most: usize, each: usize) -> Arc<Self> {
        let state = State { next: 0, members: HashMap::new(), counts: Counts::default() };
        Arc::new(Self { most, each, state: Mutex::new(state), freed: Notify::new() })
    }

    /// Takes a slot, from the member that has been idle longest if none is free.
    ///
    /// # Errors
    /// If none is free and no member that could be replaced is idle.
    pub(crate) fn acquire(self: &Arc<Self>, holders: Holders, item: T) -> Result<Slot<T>, Full> {
        let mut state = self.lock();
        // A member that leaves frees a slot in every wider network too.
        if let Some(holder) = state.counts.exhausted(&holders, self.each, self.most.div_ceil(2).max(2)) {
            state.replace_idle(Some(holder)).ok_or(Full::Holder)?;
        }
        if state.members.len() >= self.most {
            state.replace_idle(None).ok_or(Full::Pool)?;
        }
        let (number, replaced) = (state.next, CancellationToken::new());
        state.next += 1;
        state.counts.add(&holders);
        state.members.insert(number, Member { holders, replaced: replaced.clone(), item });
        drop(state);
        Ok(Slot { pool: Arc::clone(self), number, replaced })
    }

    /// Waits until a slot is freed.
    pub(crate) async fn freed(&self) {
        self.freed.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Idle> State<T> {
    /// Takes the slot of the member that has been idle longest, of this holder or of all.
    fn replace_idle(&mut self, holder: Option<Holder>) -> Option<()> {
        let of_holder = self.members.iter().filter(|(_, member)| holder.is_none_or(|it| member.holders.contains(it)));
        let idle = of_holder.filter_map(|(&number, member)| Some((member.item.idle_since()?, number)));
        let (_, number) = idle.min()?;
        self.remove(number)?.replaced.cancel();
        Some(())
    }

    fn remove(&mut self, number: u64) -> Option<Member<T>> {
        let member = self.members.remove(&number)?;
        self.counts.remove(&member.holders);
        Some(member)
    }
}

impl<T: Idle> Slot<T> {
    /// Cancelled once a newcomer has the slot.
    pub(crate) const fn replaced(&self) -> &CancellationToken {
        &self.replaced
    }
}

impl<T: Idle> Drop for Slot<T> {
    fn drop(&mut self) {
        let left = self.pool.lock().remove(self.number);
        if left.is_some() {
            self.pool.freed.notify_one();
        }
    }
}

impl<T> fmt::Debug for SlotPool<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SlotPool").field("most", &self.most).field("each", &self.each).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    impl Idle for Option<Instant> {
        fn idle_since(&self) -> Option<Instant> {
            *self
        }
    }

    fn source(text: &str) -> Holders {
        Holders::of_source(text.parse().unwrap())
    }

    fn idle_for(seconds: u64) -> Option<Instant> {
        Instant::now().checked_sub(Duration::from_secs(seconds))
    }

    #[test]
    fn newcomer_over_budget_replaces_longest_idle_of_source() {
        let pool = SlotPool::new(10, 2);
        let other = pool.acquire(source("192.0.2.9"), idle_for(60)).unwrap();
        let old = pool.acquire(source("192.0.2.1"), idle_for(30)).unwrap();
        let young = pool.acquire(source("192.0.2.1"), idle_for(10)).unwrap();
        let new = pool.acquire(source("192.0.2.1"), None).unwrap();
        assert!(old.replaced().is_cancelled());
        assert!(![&other, &young, &new].iter().any(|slot| slot.replaced().is_cancelled()));
    }

    #[test]
    fn newcomer_over_budget_of_busy_source_is_refused() {
        let pool = SlotPool::new(10, 2);
        let _busy = [pool.acquire(source("192.0.2.1"), None), pool.acquire(source("192.0.2.1"), None)];
        let other = pool.acquire(source("192.0.2.9"), idle_for(60)).unwrap();
        assert_eq!(pool.acquire(source("192.0.2.1"), None).err(), Some(Full::Holder));
        assert!(!other.replaced().is_cancelled());
        assert!(pool.acquire(source("192.0.2.2"), None).is_ok());
    }

    #[test]
    fn newcomer_in_full_pool_replaces_longest_idle() {
        let pool = SlotPool::new(2, 2);
        let busy = pool.acquire(source("192.0.2.1"), None).unwrap();
        let idle = pool.acquire(source("192.0.2.2"), idle_for(1)).unwrap();
        let new = pool.acquire(source("192.0.2.3"), None).unwrap();
        assert!(idle.replaced().is_cancelled());
        assert_eq!(pool.acquire(source("192.0.2.4"), None).err(), Some(Full::Pool));
        drop(idle);
        assert_eq!(pool.acquire(source("192.0.2.4"), None).err(), Some(Full::Pool), "its slot is another's");
        drop(busy);
        assert!(pool.acquire(source("192.0.2.4"), None).is_ok());
        drop(new);
    }

    #[test]
    fn network_gets_at_most_half_of_slots() {
        let pool = SlotPool::new(8, 2);
        let acquire = |subnet: u16| pool.acquire(source(&format!("2001:db8:1:{subnet:x}::1")), None);
        let held: Vec<_> = [0x100, 0x200, 0x300, 0x400].into_iter().map(|subnet| acquire(subnet).unwrap()).collect();
        assert_eq!(acquire(0x500).err(), Some(Full::Holder));
        assert!(pool.acquire(source("192.0.2.1"), None).is_ok());
        drop(held);
    }

    #[tokio::test]
    async fn freed_slot_wakes_waiter() {
        let pool = SlotPool::new(1, 1);
        let slot = pool.acquire(Holders::NOBODY, None).unwrap();
        let (leaves, waits) = (async { drop(slot) }, pool.freed());
        tokio::join!(waits, leaves);
        assert!(pool.acquire(Holders::NOBODY, None).is_ok());
    }
}
