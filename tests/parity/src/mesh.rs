//! A script of requests through real Envoy and through the embedded gateway, both in front of the services of one mesh:
//! users of the same names do the same on either side, at the same times, and get the same answers.

mod play;

use std::collections::{BTreeMap, BTreeSet};

use kit::engine::Engine;
use kit::mesh::TestMesh;
use parity::script;
use prost_reflect::DescriptorPool;

use self::play::{Held, Side};
use crate::compare;
use crate::corpus::{self, Direction, Recorded};
use crate::wire::Answer;

const DIFFERENCES: &str = include_str!("../mesh/differences.txt");

/// Maximum requests with different answers. It may only get smaller.
const MOST_DIFFERENCES: usize = 64;

/// Minimum recorded requests, including those to the test service.
const FEWEST_REQUESTS: usize = 700;

/// HTTP statuses that the script must cover.
const STATUSES: [u16; 10] = [200, 201, 204, 400, 401, 403, 404, 409, 413, 429];

/// Codes of google.rpc.Status that the script must cover: INVALID_ARGUMENT, NOT_FOUND, ALREADY_EXISTS,
/// PERMISSION_DENIED, RESOURCE_EXHAUSTED, FAILED_PRECONDITION, ABORTED and UNAUTHENTICATED.
const CODES: [i64; 8] = [3, 5, 6, 7, 8, 9, 10, 16];

#[tokio::test(flavor = "multi_thread")]
async fn mesh_fronts_answer_alike_except_listed_differences() {
    let mesh = TestMesh::start(Engine::Embedded).await;
    let envoy = mesh.envoy().await;
    let pool = DescriptorPool::decode(proto::DESCRIPTOR_SET).unwrap();
    let ours = mesh.url.trim_start_matches("http://").parse().unwrap();
    let (mut by_envoy, mut by_us) = (Side::new("amber", envoy.address()), Side::new("birch", ours));

    let mut verdict = Verdict::new();
    let mut held: Vec<(Recorded, Held, Held)> = Vec::new();
    for recorded in script::requests() {
        for direction in &recorded.directions {
            if let Direction::Pass(time) = direction {
                mesh.pass(*time);
            }
        }
        if recorded.directions.iter().any(|direction| matches!(direction, Direction::Hold)) {
            let (envoys, ours) = tokio::join!(by_envoy.hold(&recorded), by_us.hold(&recorded));
            held.push((recorded, envoys, ours));
        } else {
            let (envoys, ours) = tokio::join!(by_envoy.play(&recorded, &pool), by_us.play(&recorded, &pool));
            verdict.judge(&recorded, &envoys, &ours);
        }
        mesh.pass(play::STEP);
    }
    for (recorded, envoys, ours) in held {
        let (envoys, ours) = tokio::join!(envoys.end(), ours.end());
        verdict.judge(&recorded, &by_envoy.mask(envoys), &by_us.mask(ours));
    }
    verdict.wrong.extend(by_envoy.missing.into_iter().chain(by_us.missing));
    verdict.end();
    drop(envoy);
    mesh.stop().await;
}

/// Collected mismatches, remaining expected differences, and seen codes.
struct Verdict {
    meant: BTreeMap<String, BTreeSet<String>>,
    wrong: Vec<String>,
    codes: BTreeSet<i64>,
}

impl Verdict {
    fn new() -> Self {
        let meant = corpus::differences(DIFFERENCES);
        assert!(meant.len() <= MOST_DIFFERENCES, "{} differences are listed, not {MOST_DIFFERENCES}", meant.len());
        Self { meant, wrong: Vec::new(), codes: BTreeSet::new() }
    }

    fn judge(&mut self, recorded: &Recorded, envoys: &Answer, ours: &Answer) {
        let name = &recorded.name;
        if envoys.status != recorded.status {
            self.wrong
                .push(format!("{name}: Envoy answers {} instead of {}: {envoys}", envoys.status, recorded.status));
        }
        let differ = compare::aspects(envoys, ours);
        let meant = self.meant.remove(name).unwrap_or_default();
        if differ != meant {
            self.wrong
                .push(format!("{name}: {differ:?} differ, listed are {meant:?}\n  Envoy: {envoys}\n  ours:  {ours}"));
        }
        let status: Option<serde_json::Value> = serde_json::from_slice(&envoys.body).ok();
        self.codes.extend(status.filter(|_| envoys.status >= 400).and_then(|status| status["code"].as_i64()));
    }

    fn end(mut self) {
        let unknown =
            self.meant.keys().map(|name| format!("{name}: is listed as a difference, but there is no such request"));
        self.wrong.extend(unknown);
        self.wrong.extend(CODES.iter().filter(|code| !self.codes.contains(code)).map(|code| format!("no {code}")));
        assert!(self.wrong.is_empty(), "{} are not as they should be:\n{}", self.wrong.len(), self.wrong.join("\n"));
    }
}

#[test]
fn script_covers_success_and_refusal_of_each_route() {
    assert_eq!(script::uncovered(&contract::pool()), Vec::<String>::new());
}

#[test]
fn recorded_requests_are_complete_and_uniquely_named() {
    let script = script::requests();
    let names: BTreeSet<_> = script.iter().map(|recorded| &recorded.name).collect();
    assert_eq!(names.len(), script.len(), "a name is there twice");
    let total = script.len() + corpus::requests(crate::REQUESTS).len();
    assert!(total >= FEWEST_REQUESTS, "{total} requests");
    let statuses: BTreeSet<_> = script.iter().map(|recorded| recorded.status).collect();
    assert!(STATUSES.iter().all(|status| statuses.contains(status)), "{statuses:?}");
}
