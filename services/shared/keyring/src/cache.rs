//! Keys in memory: at most so many, each no longer than its life, and one caller at a time who fetches one.

use std::sync::Arc;
use std::time::Duration;

use kernel::{Clock, Timestamp, UserId};
use quick_cache::sync::{self, GuardResult};

/// How many keys are held.
const CAPACITY: usize = 10_000;
/// How often keys that are over are looked for, if their life is not shorter.
const WIPE_INTERVAL: Duration = Duration::from_secs(1);

/// The keys, of a type that wipes itself when its last clone is dropped: when it is removed from here and the last request
/// that uses it has ended.
pub(crate) struct Cache<K> {
    held: sync::Cache<UserId, Held<K>>,
    life: Duration,
}

#[derive(Clone)]
struct Held<K> {
    key: K,
    /// When vault was about to be asked: from then on the key may have been destroyed.
    asked: Timestamp,
}

/// The right to fetch a person's key. While it is there, others who want the key wait; when it is dropped without a key,
/// one of them gets it.
pub(crate) struct Place<'a, K>(Guard<'a, K>);

/// What there is of a person's key.
pub(crate) enum Looked<'a, K> {
    Held(K),
    /// Nobody fetches it.
    Free(Place<'a, K>),
    /// Somebody else fetches it.
    Taken,
}

type Guard<'a, K> = sync::PlaceholderGuard<
    'a,
    UserId,
    Held<K>,
    quick_cache::UnitWeighter,
    quick_cache::DefaultHashBuilder,
    sync::DefaultLifecycle<UserId, Held<K>>,
>;

impl<K: Clone> Place<'_, K> {
    pub(crate) fn hold(self, key: K, asked: Timestamp) {
        // If the place is gone, the key isn't held, and that is all.
        drop(self.0.insert(Held { key, asked }));
    }
}

impl<K: Clone> Cache<K> {
    pub(crate) fn new(life: Duration) -> Self {
        Self { held: sync::Cache::new(CAPACITY), life }
    }

    /// The key of a person; or the right to fetch it, once nobody else does.
    pub(crate) async fn look(&self, person: UserId, clock: &dyn Clock) -> Result<K, Place<'_, K>> {
        loop {
            let Held { key, asked } = self.held.get_value_or_guard_async(&person).await.map_err(Place)?;
            if self.is_good(asked, clock.now()) {
                return Ok(key);
            }
            drop(self.held.remove_if(&person, |held| held.asked == asked));
        }
    }

    /// The key of a person, or the right to fetch it, unless somebody else has that right.
    ///
    /// Who holds places waits for no other: two who waited for each other's would wait for ever.
    pub(crate) fn try_look(&self, person: UserId, clock: &dyn Clock) -> Looked<'_, K> {
        loop {
            match self.held.get_value_or_guard(&person, Some(Duration::ZERO)) {
                GuardResult::Value(Held { key, asked }) if self.is_good(asked, clock.now()) => {
                    return Looked::Held(key);
                }
                GuardResult::Value(Held { key: _, asked: then }) => {
                    drop(self.held.remove_if(&person, |held| held.asked == then));
                }
                GuardResult::Guard(place) => return Looked::Free(Place(place)),
                GuardResult::Timeout => return Looked::Taken,
            }
        }
    }

    /// Whether a key that was asked for then may be used now. A clock that went back tells nothing about the time since.
    pub(crate) fn is_good(&self, asked: Timestamp, now: Timestamp) -> bool {
        asked <= now && now.duration_since(asked).unsigned_abs() < self.life
    }

    /// Removes a key. One that is just being fetched is not held either.
    pub(crate) fn forget(&self, person: UserId) {
        drop(self.held.remove(&person));
    }

    fn wipe(&self, now: Timestamp) {
        self.held.retain(|_, held| self.is_good(held.asked, now));
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.held.len()
    }
}

/// Wipes keys that are over, also those that nobody asks for any more.
pub(crate) async fn wipe<K: Clone>(cache: Arc<Cache<K>>, clock: Arc<dyn Clock>) {
    let interval = WIPE_INTERVAL.min(cache.life);
    loop {
        tokio::time::sleep(interval).await;
        cache.wipe(clock.now());
    }
}

#[cfg(test)]
mod tests {
    use kernel::ManualClock;

    use super::*;

    #[test]
    fn a_key_is_good_from_when_it_was_asked_for_until_its_life_is_over() {
        let cache = Cache::<()>::new(Duration::from_secs(30));
        let asked = Timestamp::from_second(1_000).unwrap();
        let cases = [(999, false), (1_000, true), (1_029, true), (1_030, false), (9_000, false)];
        for (now, good) in cases {
            assert_eq!(cache.is_good(asked, Timestamp::from_second(now).unwrap()), good, "{now}");
        }
    }

    #[tokio::test]
    async fn no_more_keys_are_held_than_there_is_room_for() {
        let (cache, clock) = (Cache::new(Duration::from_secs(30)), kernel::SystemClock);
        for number in 0..CAPACITY as u128 + 2_000 {
            let place = cache.look(UserId::from_bytes(number.to_be_bytes()), &clock).await.err().unwrap();
            place.hold((), clock.now());
        }
        assert!((CAPACITY / 2..=CAPACITY).contains(&cache.len()), "{}", cache.len());
    }

    #[tokio::test]
    async fn a_key_that_is_over_is_let_go_of_by_everything_here() {
        let clock = ManualClock::new(Timestamp::from_second(1_000).unwrap());
        let (cache, key) = (Cache::new(Duration::from_secs(30)), Arc::new(()));
        let person = UserId::from_bytes([1; 16]);
        let place = cache.look(person, &clock).await.err().unwrap();
        let hold = async { place.hold(Arc::clone(&key), clock.now()) };
        // The first waits for the second.
        let (looked, ()) = tokio::join!(cache.look(person, &clock), hold);
        assert!(looked.is_ok());
        drop(looked);
        clock.advance(Duration::from_secs(30));
        cache.wipe(clock.now());
        assert_eq!((cache.len(), Arc::strong_count(&key)), (0, 1));
    }
}
