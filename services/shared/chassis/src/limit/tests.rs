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

/// Eight places, so one more for services and one for what ends things; four of them for one caller.
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
    assert_eq!(error.retry_delay(), Some(RETRY));
    error.reason()
}

#[test]
fn caller_gets_a_part_of_the_places() {
    let places = stage().0;
    let _held: Vec<_> = (0..4).map(|_| places.place(read(), caller(1), b"").unwrap()).collect();
    assert_eq!(reason(places.place(read(), caller(1), b"")), "TOO_MANY_REQUESTS");
    assert!(places.place(read(), caller(2), b"").is_ok());
}

#[test]
fn services_and_endings_get_places_when_all_others_are_taken() {
    let places = stage().0;
    let _held: Vec<_> = (0..8).map(|number| places.place(read(), caller(number / 4), b"").unwrap()).collect();
    assert_eq!(reason(places.place(read(), caller(9), b"")), "OVERLOADED");
    let service = places.place(read(), Claim::Service, b"").unwrap();
    assert_eq!(reason(places.place(read(), Claim::Service, b"")), "OVERLOADED");
    // Also for who has the budget of a caller already.
    let ending = places.place(ends(), caller(1), b"").unwrap();
    assert_eq!(reason(places.place(ends(), caller(9), b"")), "OVERLOADED");
    drop((service, ending));
    assert!(places.place(ends(), caller(9), b"").is_ok());
    assert!(places.place(read(), Claim::Service, b"").is_ok());
}

#[test]
fn endings_of_one_caller_leave_places_for_others() {
    let flags = ["test", "--max-concurrent-requests=64", "--max-requests-per-caller=1"];
    let places = LimitStage::new(&Cli::parse_from(flags).config).0;
    let taken = || places.place(ends(), caller(1), b"");
    let held: Vec<_> = (0..=ENDINGS_OF_CALLER).map(|_| taken().unwrap()).collect();
    assert_eq!(reason(taken()), "TOO_MANY_REQUESTS");
    assert!(places.place(ends(), caller(2), b"").is_ok());
    drop(held);
}

#[test]
fn streams_take_places_of_their_own() {
    let (places, watch) = (stage().0, RPCS.iter().find(|rpc| rpc.streams).unwrap());
    assert!(places.lasting(read(), caller(1)).unwrap().is_none());
    let held: Vec<_> = (0..4).map(|_| places.lasting(watch, caller(1)).unwrap()).collect();
    assert_eq!(reason(places.lasting(watch, caller(1))), "TOO_MANY_REQUESTS");
    let _others = [places.lasting(watch, caller(2)).unwrap(), places.lasting(watch, caller(2)).unwrap()];
    assert_eq!(reason(places.lasting(watch, caller(3))), "OVERLOADED");
    assert!(places.place(read(), caller(1), b"").is_ok());
    drop(held);
    assert!(places.lasting(watch, caller(3)).is_ok());
}

#[test]
fn front_calls_for_people_and_other_services_for_themselves() {
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
