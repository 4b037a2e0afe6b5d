//! Keys in memory: at most so many, each no longer than its life, and one caller at a time who fetches one.

use std::sync::Arc;
use std::time::Duration;

use dynamo::seal::SealingKey;
use kernel::{Clock, Timestamp, UserId};
use quick_cache::sync;

/// How many keys are held.
const CAPACITY: usize = 10_000;
/// How often keys that are over are looked for, if their life is not shorter.
const WIPE_INTERVAL: Duration = Duration::from_secs(1);

/// The keys. A key is wiped from memory when it is removed and the last request that uses it has ended.
pub(crate) struct Cache {
    held: sync::Cache<UserId, Held>,
    life: Duration,
}

#[derive(Clone)]
struct Held {
    key: SealingKey,
    /// When vault was about to be asked: from then on the key may have been destroyed.
    asked: Timestamp,
}

/// The right to fetch a person's key. While it is there, others who want the key wait; when it is dropped without a key,
/// one of them gets it.
pub(crate) struct Place<'a>(Guard<'a>);

type Guard<'a> = sync::PlaceholderGuard<
    'a,
    UserId,
    Held,
    quick_cache::UnitWeighter,
    quick_cache::DefaultHashBuilder,
    sync::DefaultLifecycle<UserId, Held>,
>;

impl Place<'_> {
    pub(crate) fn hold(self, key: SealingKey, asked: Timestamp) {
        // If the place is gone, the key isn't held, and that is all.
        drop(self.0.insert(Held { key, asked }));
    }
}

impl Cache {
    pub(crate) fn new(life: Duration) -> Self {
        Self { held: sync::Cache::new(CAPACITY), life }
    }

    /// The key of a person; or the right to fetch it, once nobody else does.
    pub(crate) async fn look(&self, person: UserId, clock: &dyn Clock) -> Result<SealingKey, Place<'_>> {
        loop {
            let Held { key, asked } = self.held.get_value_or_guard_async(&person).await.map_err(Place)?;
            if self.is_good(asked, clock.now()) {
                return Ok(key);
            }
            drop(self.held.remove_if(&person, |held| held.asked == asked));
        }
    }

    /// Whether a key that was asked for then may be used now. A clock that went back tells nothing about the time since.
    pub(crate) fn is_good(&self, asked: Timestamp, now: Timestamp) -> bool {
        asked <= now && now.duration_since(asked).unsigned_abs() < self.life
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
pub(crate) async fn wipe(cache: Arc<Cache>, clock: Arc<dyn Clock>) {
    let interval = WIPE_INTERVAL.min(cache.life);
    loop {
        tokio::time::sleep(interval).await;
        cache.wipe(clock.now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_good_from_when_it_was_asked_for_until_its_life_is_over() {
        let cache = Cache::new(Duration::from_secs(30));
        let asked = Timestamp::from_second(1_000).unwrap();
        let cases = [(999, false), (1_000, true), (1_029, true), (1_030, false), (9_000, false)];
        for (now, good) in cases {
            assert_eq!(cache.is_good(asked, Timestamp::from_second(now).unwrap()), good, "{now}");
        }
    }

    #[tokio::test]
    async fn no_more_keys_are_held_than_there_is_room_for() {
        let (cache, clock) = (Cache::new(Duration::from_secs(30)), kernel::SystemClock);
        let key = SealingKey::new(&[7; 32]).unwrap();
        for number in 0..CAPACITY as u128 + 2_000 {
            let place = cache.look(UserId::from_bytes(number.to_be_bytes()), &clock).await.err().unwrap();
            place.hold(key.clone(), clock.now());
        }
        assert!((CAPACITY / 2..=CAPACITY).contains(&cache.len()), "{}", cache.len());
    }
}
