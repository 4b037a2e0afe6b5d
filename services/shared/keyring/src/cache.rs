//! Caches keys in memory: bounded in number and age, with one fetch of a key at a time.

use std::sync::Arc;
use std::time::Duration;

use kernel::{Clock, Timestamp, UserId};
use quick_cache::sync::{self, GuardResult};

/// Maximum cached keys.
const CAPACITY: usize = 10_000;
/// Interval between wipes of expired keys, unless a key's life is shorter.
const WIPE_INTERVAL: Duration = Duration::from_secs(1);

/// Cache of keys, of a type that wipes itself when its last clone is dropped: when it is removed from here and the last
/// request that uses it has ended.
pub(crate) struct Cache<K> {
    held: sync::Cache<UserId, Entry<K>>,
    life: Duration,
}

#[derive(Clone)]
struct Entry<K> {
    key: K,
    /// Time of the request to vault: from then on the key may have been destroyed.
    asked: Timestamp,
}

/// Exclusive right to fetch a person's key. Other lookups of the key wait until it is dropped; without an inserted key,
/// one of them gets it.
pub(crate) struct FetchGuard<'a, K>(Guard<'a, K>);

/// Result of a lookup that does not wait.
pub(crate) enum Lookup<'a, K> {
    Cached(K),
    /// Neither cached nor being fetched.
    Vacant(FetchGuard<'a, K>),
    /// Another call fetches it.
    InFlight,
}

type Guard<'a, K> = sync::PlaceholderGuard<
    'a,
    UserId,
    Entry<K>,
    quick_cache::UnitWeighter,
    quick_cache::DefaultHashBuilder,
    sync::DefaultLifecycle<UserId, Entry<K>>,
>;

impl<K: Clone> FetchGuard<'_, K> {
    pub(crate) fn insert(self, key: K, asked: Timestamp) {
        // If the placeholder is gone, the key just isn't cached.
        drop(self.0.insert(Entry { key, asked }));
    }
}

impl<K: Clone> Cache<K> {
    pub(crate) fn new(life: Duration) -> Self {
        Self { held: sync::Cache::new(CAPACITY), life }
    }

    /// Returns the key of a person, or the right to fetch it once no other call does.
    pub(crate) async fn get(&self, person: UserId, clock: &dyn Clock) -> Result<K, FetchGuard<'_, K>> {
        loop {
            let Entry { key, asked } = self.held.get_value_or_guard_async(&person).await.map_err(FetchGuard)?;
            if self.is_fresh(asked, clock.now()) {
                return Ok(key);
            }
            drop(self.held.remove_if(&person, |held| held.asked == asked));
        }
    }

    /// Returns the key of a person, or the right to fetch it, unless another call has that right.
    ///
    /// It never waits: two callers that hold rights and wait for each other's would deadlock.
    pub(crate) fn try_get(&self, person: UserId, clock: &dyn Clock) -> Lookup<'_, K> {
        loop {
            match self.held.get_value_or_guard(&person, Some(Duration::ZERO)) {
                GuardResult::Value(Entry { key, asked }) if self.is_fresh(asked, clock.now()) => {
                    return Lookup::Cached(key);
                }
                GuardResult::Value(Entry { key: _, asked: then }) => {
                    drop(self.held.remove_if(&person, |held| held.asked == then));
                }
                GuardResult::Guard(guard) => return Lookup::Vacant(FetchGuard(guard)),
                GuardResult::Timeout => return Lookup::InFlight,
            }
        }
    }

    /// Returns true if a key that was requested at `asked` may be used now. A clock that went back shows no age, so the
    /// key is not fresh.
    pub(crate) fn is_fresh(&self, asked: Timestamp, now: Timestamp) -> bool {
        asked <= now && now.duration_since(asked).unsigned_abs() < self.life
    }

    /// Removes a key. One that is being fetched is not cached either.
    pub(crate) fn forget(&self, person: UserId) {
        drop(self.held.remove(&person));
    }

    fn wipe(&self, now: Timestamp) {
        self.held.retain(|_, held| self.is_fresh(held.asked, now));
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.held.len()
    }
}

/// Wipes expired keys periodically, also those that are never looked up again.
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
    fn key_is_fresh_from_request_until_expiry() {
        let cache = Cache::<()>::new(Duration::from_secs(30));
        let asked = Timestamp::from_second(1_000).unwrap();
        let cases = [(999, false), (1_000, true), (1_029, true), (1_030, false), (9_000, false)];
        for (now, good) in cases {
            assert_eq!(cache.is_fresh(asked, Timestamp::from_second(now).unwrap()), good, "{now}");
        }
    }

    #[tokio::test]
    async fn cache_size_is_bounded_by_capacity() {
        let (cache, clock) = (Cache::new(Duration::from_secs(30)), kernel::SystemClock);
        for number in 0..CAPACITY as u128 + 2_000 {
            let guard = cache.get(UserId::from_bytes(number.to_be_bytes()), &clock).await.err().unwrap();
            guard.insert((), clock.now());
        }
        assert!((CAPACITY / 2..=CAPACITY).contains(&cache.len()), "{}", cache.len());
    }

    #[tokio::test]
    async fn expired_key_is_fully_released() {
        let clock = ManualClock::new(Timestamp::from_second(1_000).unwrap());
        let (cache, key) = (Cache::new(Duration::from_secs(30)), Arc::new(()));
        let person = UserId::from_bytes([1; 16]);
        let guard = cache.get(person, &clock).await.err().unwrap();
        let insert = async { guard.insert(Arc::clone(&key), clock.now()) };
        // The first waits for the second.
        let (lookup, ()) = tokio::join!(cache.get(person, &clock), insert);
        assert!(lookup.is_ok());
        drop(lookup);
        clock.advance(Duration::from_secs(30));
        cache.wipe(clock.now());
        assert_eq!((cache.len(), Arc::strong_count(&key)), (0, 1));
    }
}
