use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OwnedMutexGuard;

/// Mutex for each key, within one process: so concurrent requests are counted like sequential ones.
///
/// A key has a lock of its own, which exists while somebody holds it or waits for it.
pub struct KeyedMutex<K: Hash + Eq> {
    locks: Mutex<HashMap<K, Lock>>,
}

/// Lock of one key.
#[derive(Default)]
struct Lock {
    mutex: Arc<tokio::sync::Mutex<()>>,
    /// Number of those who hold it or wait for it.
    users: usize,
}

/// Locked key: nobody else holds it until this is dropped.
#[must_use]
pub struct KeyedMutexGuard<'a, K: Hash + Eq> {
    // Fields are dropped in this order: the lock is released before it is forgotten.
    _locked: OwnedMutexGuard<()>,
    _user: User<'a, K>,
}

/// One of those who hold a key or wait for it.
struct User<'a, K: Hash + Eq> {
    locks: &'a Mutex<HashMap<K, Lock>>,
    key: K,
}

impl<K: Hash + Eq + Clone> KeyedMutex<K> {
    /// Waits until nobody else holds this key. Those who wait get it in the order in which they came.
    pub async fn lock(&self, key: K) -> KeyedMutexGuard<'_, K> {
        let (user, mutex) = self.user(key);
        KeyedMutexGuard { _locked: mutex.lock_owned().await, _user: user }
    }

    /// Counts a user of a key, and returns the mutex of the key.
    fn user(&self, key: K) -> (User<'_, K>, Arc<tokio::sync::Mutex<()>>) {
        let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
        let lock = locks.entry(key.clone()).or_default();
        lock.users += 1;
        (User { locks: &self.locks, key }, Arc::clone(&lock.mutex))
    }
}

impl<K: Hash + Eq> Drop for User<'_, K> {
    fn drop(&mut self) {
        let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lock) = locks.get_mut(&self.key) {
            lock.users -= 1;
            if lock.users == 0 {
                locks.remove(&self.key);
            }
        }
    }
}

impl<K: Hash + Eq> Default for KeyedMutex<K> {
    fn default() -> Self {
        Self { locks: Mutex::default() }
    }
}

impl<K: Hash + Eq> std::fmt::Debug for KeyedMutex<K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeyedMutex")
    }
}

impl<K: Hash + Eq> std::fmt::Debug for KeyedMutexGuard<'_, K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeyedMutexGuard")
    }
}

#[cfg(test)]
mod tests {
    use std::pin::{Pin, pin};
    use std::task::{Context, Poll, Waker};

    use futures_util::FutureExt as _;

    use super::*;

    fn poll<T>(future: Pin<&mut impl Future<Output = T>>) -> Poll<T> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    fn is_empty<K: Hash + Eq>(mutex: &KeyedMutex<K>) -> bool {
        mutex.locks.lock().unwrap().is_empty()
    }

    #[test]
    fn different_keys_never_wait_for_each_other() {
        let mutex = KeyedMutex::default();
        let guards: Vec<_> = (0..10_000).map(|key| mutex.lock(key).now_or_never().expect("the key is free")).collect();
        drop(guards);
        assert!(is_empty(&mutex));
    }

    #[test]
    fn same_key_is_locked_in_order_of_arrival() {
        let mutex = KeyedMutex::default();
        let first = mutex.lock("key").now_or_never().unwrap();
        let (mut second, mut third) = (pin!(mutex.lock("key")), pin!(mutex.lock("key")));
        assert!(poll(second.as_mut()).is_pending() && poll(third.as_mut()).is_pending());
        drop(first);
        assert!(poll(third.as_mut()).is_pending());
        let Poll::Ready(second) = poll(second.as_mut()) else { panic!("the key was released") };
        assert!(poll(third.as_mut()).is_pending());
        drop(second);
        assert!(poll(third.as_mut()).is_ready());
        assert!(is_empty(&mutex));
    }

    #[test]
    fn cancelled_waiter_leaves_nothing() {
        let mutex = KeyedMutex::default();
        let guard = mutex.lock("key").now_or_never().unwrap();
        assert!(mutex.lock("key").now_or_never().is_none());
        drop(guard);
        assert!(is_empty(&mutex));
    }

    /// A waiter may be cancelled after the lock was handed to it, and before it knows.
    #[test]
    fn cancelled_waiter_passes_the_lock_on() {
        let mutex = KeyedMutex::default();
        let guard = mutex.lock("key").now_or_never().unwrap();
        let mut cancelled = Box::pin(mutex.lock("key"));
        let mut next = pin!(mutex.lock("key"));
        assert!(poll(cancelled.as_mut()).is_pending() && poll(next.as_mut()).is_pending());
        drop(guard);
        drop(cancelled);
        assert!(poll(next.as_mut()).is_ready());
        assert!(is_empty(&mutex));
    }
}
