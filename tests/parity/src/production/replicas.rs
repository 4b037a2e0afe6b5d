//! Outlier detection: a replica that keeps failing is ejected, except for the last one. A replica that sheds load
//! stays, since it is healthy and the others would have more load without it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::Duration;

use kit::envoy::Envoy;
use tokio::time::timeout;

use super::service::{Reply, Service};
use crate::corpus::Request;
use crate::wire::send;

/// Timeout until all of Envoy's threads eject a replica: they learn of it within a second.
const TIMEOUT: Duration = Duration::from_secs(20);
/// Number of calls that would hardly miss a replica by chance.
const CALLS: usize = 30;

/// Starts a replica that reports itself healthy and answers UNAVAILABLE while this is set.
async fn replica(fails: &Arc<AtomicBool>) -> Service {
    let fails = Arc::clone(fails);
    Service::start(move |_| match fails.load(Ordering::SeqCst) {
        true => Reply::Refusal(14),
        false => Reply::Message(Vec::new()),
    })
    .await
}

/// Starts a replica that reports itself healthy and rejects everything with this code; 0 means success.
async fn refusing(code: &Arc<AtomicU8>) -> Service {
    let code = Arc::clone(code);
    Service::start(move |_| match code.load(Ordering::SeqCst) {
        0 => Reply::Message(Vec::new()),
        code => Reply::Refusal(code),
    })
    .await
}

async fn status(envoy: &Envoy, method: &str, target: &str) -> u16 {
    let body = if method == "GET" { Vec::new() } else { b"{}".to_vec() };
    let request = Request { method: method.to_owned(), target: target.into(), headers: Vec::new(), body };
    send(envoy.address(), &request).await.status
}

/// Returns the number of ejected replicas of clients.
async fn ejections(envoy: &Envoy) -> String {
    statistic(envoy, "cluster.clients.outlier_detection.ejections_active").await
}

async fn statistic(envoy: &Envoy, name: &str) -> String {
    let stats = reqwest::get(format!("http://{}/stats?filter={name}", envoy.admin())).await.unwrap();
    stats.text().await.unwrap().trim().trim_start_matches(name).trim_start_matches(": ").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn failing_replica_is_ejected_and_last_one_kept() {
    let (bad, good) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(false)));
    let (failing, other) = (replica(&bad).await, replica(&good).await);
    let envoy = failing.envoy_before_two(&other).await;

    let ejected = async {
        while ejections(&envoy).await == "0" {
            // Reads are retried at the other replica.
            assert_eq!(status(&envoy, "GET", "/clients/1").await, 200);
        }
    };
    timeout(TIMEOUT, ejected).await.expect("a replica that keeps failing is left out");
    let calls = failing.calls().len();
    assert!(calls >= 20, "a service may say UNAVAILABLE {calls} times");
    let goes_on = async {
        let mut served = 0;
        while served < CALLS {
            served = if status(&envoy, "PUT", "/clients/1").await == 200 { served + 1 } else { 0 };
        }
    };
    timeout(TIMEOUT, goes_on).await.expect("every request is served again");

    // The last replica is never ejected: its answer is more specific than Envoy's.
    good.store(true, Ordering::SeqCst);
    let before = other.calls().len();
    for _ in 0..CALLS {
        assert_eq!(status(&envoy, "PUT", "/clients/1").await, 503);
    }
    assert_eq!((other.calls().len() - before, ejections(&envoy).await.as_str()), (CALLS, "1"));
}

/// A replica that fails after it shed load is ejected as any other.
#[tokio::test(flavor = "multi_thread")]
async fn load_shedding_does_not_eject_a_replica() {
    const RESOURCE_EXHAUSTED: u8 = 8;
    const DEADLINE_EXCEEDED: u8 = 4;
    const UNAVAILABLE: u8 = 14;
    let (code, none) = (Arc::new(AtomicU8::new(RESOURCE_EXHAUSTED)), Arc::new(AtomicU8::new(0)));
    let (shedding, other) = (refusing(&code).await, refusing(&none).await);
    let envoy = shedding.envoy_before_two(&other).await;

    // The caller chooses the deadline, so an exceeded one is no fault of the replica either.
    for (code_now, expected) in [(RESOURCE_EXHAUSTED, 429), (DEADLINE_EXCEEDED, 504)] {
        code.store(code_now, Ordering::SeqCst);
        let before = shedding.calls().len();
        let shed = async {
            while shedding.calls().len() - before < 100 {
                let answered = status(&envoy, "PUT", "/clients/1").await;
                assert!(answered == 200 || answered == expected, "{answered}");
            }
        };
        timeout(TIMEOUT, shed).await.expect("a replica that sheds load goes on being asked");
        let ejected = statistic(&envoy, "cluster.clients.outlier_detection.ejections_enforced_total").await;
        assert_eq!(ejected, "0", "a replica that answers {code_now} is well");
    }

    code.store(UNAVAILABLE, Ordering::SeqCst);
    let ejected = async {
        while ejections(&envoy).await == "0" {
            status(&envoy, "PUT", "/clients/1").await;
        }
    };
    timeout(TIMEOUT, ejected).await.expect("a replica that keeps failing is left out");
}
