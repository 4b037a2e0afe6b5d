//! A bounded set in which a newcomer replaces the member that has been idle longest: of its own holder where that one has its
//! budget, of all where everything is full. So what waits without doing anything keeps out nobody who does.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::budget::{Counts, Holder, Holders};

/// A member that can be replaced while it is idle.
pub(crate) trait Idle {
    /// The instant since when it is idle; none if it is not.
    fn idle_since(&self) -> Option<Instant>;
}

/// The bounded set.
pub(crate) struct Room<T> {
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

/// Reason for which a newcomer has no seat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Full {
    /// Its holder has its budget, and nothing of it is idle.
    Holder,
    /// All seats are taken, and no member is idle.
    Room,
}

/// A seat, until it is dropped or given to a newcomer.
pub(crate) struct Seat<T: Idle> {
    room: Arc<Room<T>>,
    number: u64,
    replaced: CancellationToken,
}

impl<T: Idle> Room<T> {
    /// A room of `most` members, `each` of one holder, and of no network more than half, or two.
    pub(crate) fn new(most: usize, each: usize) -> Arc<Self> {
        let state = State { next: 0, members: HashMap::new(), counts: Counts::default() };
        Arc::new(Self { most, each, state: Mutex::new(state), freed: Notify::new() })
    }

    /// Takes a seat, from the member that has been idle longest if there is none free.
    ///
    /// # Errors
    /// If there is none free and nobody who could leave is idle.
    pub(crate) fn enter(self: &Arc<Self>, holders: Holders, item: T) -> Result<Seat<T>, Full> {
        let mut state = self.lock();
        // Who leaves makes room in every wider network too.
        if let Some(holder) = state.counts.exhausted(&holders, self.each, self.most.div_ceil(2).max(2)) {
            state.replace_idle(Some(holder)).ok_or(Full::Holder)?;
        }
        if state.members.len() >= self.most {
            state.replace_idle(None).ok_or(Full::Room)?;
        }
        let (number, replaced) = (state.next, CancellationToken::new());
        state.next += 1;
        state.counts.add(&holders);
        state.members.insert(number, Member { holders, replaced: replaced.clone(), item });
        drop(state);
        Ok(Seat { room: Arc::clone(self), number, replaced })
    }

    /// Waits until somebody leaves.
    pub(crate) async fn freed(&self) {
        self.freed.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Idle> State<T> {
    /// Takes the seat of the member that has been idle longest, of this holder or of all.
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

impl<T: Idle> Seat<T> {
    /// Cancelled once a newcomer has the seat.
    pub(crate) const fn replaced(&self) -> &CancellationToken {
        &self.replaced
    }
}

impl<T: Idle> Drop for Seat<T> {
    fn drop(&mut self) {
        let left = self.room.lock().remove(self.number);
        if left.is_some() {
            self.room.freed.notify_one();
        }
    }
}

impl<T> fmt::Debug for Room<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Room").field("most", &self.most).field("each", &self.each).finish_non_exhaustive()
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
    fn newcomer_over_budget_replaces_the_longest_idle_of_its_source() {
        let room = Room::new(10, 2);
        let other = room.enter(source("192.0.2.9"), idle_for(60)).unwrap();
        let old = room.enter(source("192.0.2.1"), idle_for(30)).unwrap();
        let young = room.enter(source("192.0.2.1"), idle_for(10)).unwrap();
        let new = room.enter(source("192.0.2.1"), None).unwrap();
        assert!(old.replaced().is_cancelled());
        assert!(![&other, &young, &new].iter().any(|seat| seat.replaced().is_cancelled()));
    }

    #[test]
    fn newcomer_over_budget_is_refused_where_all_of_its_source_are_busy() {
        let room = Room::new(10, 2);
        let _busy = [room.enter(source("192.0.2.1"), None), room.enter(source("192.0.2.1"), None)];
        let other = room.enter(source("192.0.2.9"), idle_for(60)).unwrap();
        assert_eq!(room.enter(source("192.0.2.1"), None).err(), Some(Full::Holder));
        assert!(!other.replaced().is_cancelled());
        assert!(room.enter(source("192.0.2.2"), None).is_ok());
    }

    #[test]
    fn newcomer_in_a_full_room_replaces_the_longest_idle_of_all() {
        let room = Room::new(2, 2);
        let busy = room.enter(source("192.0.2.1"), None).unwrap();
        let idle = room.enter(source("192.0.2.2"), idle_for(1)).unwrap();
        let new = room.enter(source("192.0.2.3"), None).unwrap();
        assert!(idle.replaced().is_cancelled());
        assert_eq!(room.enter(source("192.0.2.4"), None).err(), Some(Full::Room));
        drop(idle);
        assert_eq!(room.enter(source("192.0.2.4"), None).err(), Some(Full::Room), "its seat is another's");
        drop(busy);
        assert!(room.enter(source("192.0.2.4"), None).is_ok());
        drop(new);
    }

    #[test]
    fn no_network_has_more_than_half_of_the_seats_whatever_its_multiple() {
        let room = Room::new(8, 2);
        let enter = |subnet: u16| room.enter(source(&format!("2001:db8:1:{subnet:x}::1")), None);
        let held: Vec<_> = [0x100, 0x200, 0x300, 0x400].into_iter().map(|subnet| enter(subnet).unwrap()).collect();
        assert_eq!(enter(0x500).err(), Some(Full::Holder));
        assert!(room.enter(source("192.0.2.1"), None).is_ok());
        drop(held);
    }

    #[tokio::test]
    async fn who_waits_for_a_seat_is_woken_when_one_is_left() {
        let room = Room::new(1, 1);
        let seat = room.enter(Holders::NOBODY, None).unwrap();
        let (leaves, waits) = (async { drop(seat) }, room.freed());
        tokio::join!(waits, leaves);
        assert!(room.enter(Holders::NOBODY, None).is_ok());
    }
}
