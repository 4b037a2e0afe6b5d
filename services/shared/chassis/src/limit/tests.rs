use std::net::IpAddr;

use clap::Parser;
use kernel::{LoginId, Person, Role, UserId};
use proto::RPCS;

use super::*;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    config: Config,
}

/// Eight permits, so one more for services and one for requests that end things; four of them for one caller.
fn stage() -> LimitStage {
    let flags = ["test", "--max-concurrent-requests=8", "--max-requests-per-caller=4", "--max-concurrent-streams=6"];
    LimitStage::new(&Cli::parse_from(flags).config)
}

fn caller(number: u8) -> Claim {
    Claim::Caller(Holders::of(Some(UserId::from_bytes([number; 16])), IpAddr::from([192, 0, 2, 1])))
}

fn rpc(path: &str) -> &'static Rpc {
    Rpc::find(path).unwrap()
}

fn read() -> &'static Rpc {
    rpc("/therapy.clients.v1.ClientService/GetClient")
}

fn ends() -> &'static Rpc {
    rpc("/therapy.mapping.v1.MappingService/EndMapping")
}

fn reason<T: std::fmt::Debug>(refused: Result<T, Error>) -> &'static str {
    let error = refused.unwrap_err();
    assert_eq!(error.kind(), Kind::ResourceExhausted);
    assert_eq!(error.retry_delay(), Some(RETRY_DELAY));
    error.reason()
}

#[test]
fn caller_gets_part_of_permits() {
    let permits = stage().0;
    let _held: Vec<_> = (0..4).map(|_| permits.acquire(read(), caller(1), b"").unwrap()).collect();
    assert_eq!(reason(permits.acquire(read(), caller(1), b"")), "TOO_MANY_REQUESTS");
    assert!(permits.acquire(read(), caller(2), b"").is_ok());
}

#[test]
fn services_and_endings_have_reserved_permits() {
    let permits = stage().0;
    let _held: Vec<_> = (0..8).map(|number| permits.acquire(read(), caller(number / 4), b"").unwrap()).collect();
    assert_eq!(reason(permits.acquire(read(), caller(9), b"")), "OVERLOADED");
    let service = permits.acquire(read(), Claim::Service, b"").unwrap();
    assert_eq!(reason(permits.acquire(read(), Claim::Service, b"")), "OVERLOADED");
    // Also for a caller that has used its budget.
    let ending = permits.acquire(ends(), caller(1), b"").unwrap();
    assert_eq!(reason(permits.acquire(ends(), caller(9), b"")), "OVERLOADED");
    drop((service, ending));
    assert!(permits.acquire(ends(), caller(9), b"").is_ok());
    assert!(permits.acquire(read(), Claim::Service, b"").is_ok());
}

#[test]
fn endings_of_one_caller_leave_permits_for_others() {
    let flags = ["test", "--max-concurrent-requests=64", "--max-requests-per-caller=1"];
    let permits = LimitStage::new(&Cli::parse_from(flags).config).0;
    let taken = || permits.acquire(ends(), caller(1), b"");
    let held: Vec<_> = (0..=ENDINGS_OF_CALLER).map(|_| taken().unwrap()).collect();
    assert_eq!(reason(taken()), "TOO_MANY_REQUESTS");
    assert!(permits.acquire(ends(), caller(2), b"").is_ok());
    drop(held);
}

#[test]
fn streams_have_separate_permits() {
    let (permits, watch) = (stage().0, RPCS.iter().find(|rpc| rpc.streams).unwrap());
    assert!(permits.acquire_stream(read(), caller(1)).unwrap().is_none());
    let held: Vec<_> = (0..4).map(|_| permits.acquire_stream(watch, caller(1)).unwrap()).collect();
    assert_eq!(reason(permits.acquire_stream(watch, caller(1))), "TOO_MANY_REQUESTS");
    let _others =
        [permits.acquire_stream(watch, caller(2)).unwrap(), permits.acquire_stream(watch, caller(2)).unwrap()];
    assert_eq!(reason(permits.acquire_stream(watch, caller(3))), "OVERLOADED");
    assert!(permits.acquire(read(), caller(1), b"").is_ok());
    drop(held);
    assert!(permits.acquire_stream(watch, caller(3)).is_ok());
}

#[test]
fn front_claims_for_people_and_services_for_themselves() {
    let claim = |workload: Option<&str>| {
        let person =
            Person { user_id: UserId::from_bytes([1; 16]), role: Role::Client, login_id: LoginId::from_bytes([2; 16]) };
        let mut request = Request::new(Body::empty());
        let caller = Caller { person: Some(person), workload: workload.map(str::to_owned) };
        request.extensions_mut().insert(caller);
        request.extensions_mut().insert(ClientAddress(IpAddr::from([192, 0, 2, 1])));
        matches!(callers(&request).1, Claim::Service)
    };
    assert!(claim(Some("journals")));
    assert!(!claim(Some(FRONT)) && !claim(None));
}
