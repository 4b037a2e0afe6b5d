use kernel::ManualClock;

use super::*;

fn set(kid: &str) -> KeySet {
    // Any point will do: nothing is verified here.
    KeySet::ed25519([(kid, "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo")])
}

/// Keys that `fetch` brings, fetched once.
async fn fetched_once<F, Fut>(fetch: F) -> (Keys, ManualClock)
where
    F: Fn() -> Fut + Send + 'static,
    Fut: Future<Output = Result<KeySet, BoxError>> + Send + 'static,
{
    let clock = ManualClock::new(Timestamp::UNIX_EPOCH);
    let (keys, refresher) = Keys::fetched(Arc::new(clock.clone()));
    #[allow(clippy::disallowed_methods, reason = "the runtime of the test ends it")]
    tokio::spawn(refresher.run(fetch));
    keys.wait(Duration::from_secs(5)).await;
    (keys, clock)
}

#[tokio::test(start_paused = true)]
async fn unknown_key_id_is_refused_at_once_while_keys_are_young() {
    let (keys, clock) = fetched_once(|| async { Ok(set("one")) }).await;
    clock.advance(COMPLETE_FOR - Duration::from_secs(1));
    let asked = Instant::now();
    assert_eq!(keys.with("made-up").await.unwrap_err(), Missing::Unknown);
    assert_eq!(asked.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn new_key_is_found_once_keys_are_old() {
    let count = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let fetch = move || {
        let kid = format!("key-{}", count.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
        async move { Ok(set(&kid)) }
    };
    let (keys, clock) = fetched_once(fetch).await;
    clock.advance(COMPLETE_FOR);
    assert!(keys.with("key-1").await.unwrap().get("key-1").is_some());
}

#[tokio::test(start_paused = true)]
async fn excess_waiter_for_keys_is_refused_at_once() {
    let clock = Arc::new(ManualClock::new(Timestamp::UNIX_EPOCH));
    let (keys, _refresher) = Keys::fetched(clock);
    let asked = Instant::now();
    let callers = (0..=MAX_WAITERS).map(|_| async {
        let missing = keys.with("any").await.unwrap_err();
        (missing, asked.elapsed())
    });
    let answers = futures_util::future::join_all(callers).await;
    assert!(answers.iter().all(|(missing, _)| *missing == Missing::NotFetched));
    assert_eq!(answers.iter().filter(|(_, waited)| waited.is_zero()).count(), 1);
}

#[test]
fn keys_of_unknown_kinds_are_skipped() {
    let json = br#"{"keys": [
        {"kty": "XYZ", "kid": "a"},
        {"kty": "EC", "crv": "secp256k1", "kid": "b"},
        {"kid": "c"},
        {"kty": "OKP", "crv": "Ed25519", "kid": "good", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
    ]}"#;
    let set = KeySet::parse(json).unwrap();
    assert_eq!(set.0.keys().collect::<Vec<_>>(), ["good"]);
}
