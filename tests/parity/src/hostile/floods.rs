//! Floods on one HTTP/2 connection (RFC 9113, section 10.5; CVE-2023-44487; CVE-2024-27316): the front closes the
//! connection or processes the flood, and serves other callers during and after it.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::frames::{CONTINUATION, Connection, END_STREAM, HEADERS, PING, RST_STREAM, SETTINGS, fields, frame, get};
use super::{Pair, Row, check_rows};
use crate::corpus::Request;
use crate::wire::send;

const MANY: u32 = 10_000;
/// Timeout of a flood.
const FLOOD_TIMEOUT: Duration = Duration::from_secs(12);
/// Timeout of another caller's request.
const NEIGHBOUR_TIMEOUT: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(20);

/// Sends a flood and then a request, and returns the outcome of the request. Meanwhile another caller on other
/// connections must be served.
async fn flood(front: SocketAddr, bytes: Vec<u8>) -> String {
    let over = CancellationToken::new();
    let attack = async {
        let _over = over.clone().drop_guard();
        let asked = odd(MANY);
        let bytes = [bytes, get(asked, "/front/items/a", &[])].concat();
        let exchange = async { Connection::open(front).await.ask(&bytes, asked).await };
        timeout(FLOOD_TIMEOUT, exchange).await.unwrap_or_else(|_| "no end".to_owned())
    };
    let neighbour = async {
        while !over.is_cancelled() {
            served(front).await?;
            sleep(PAUSE).await;
        }
        served(front).await
    };
    let (end, neighbour) = tokio::join!(attack, neighbour);
    neighbour.map_or_else(|wrong| wrong, |()| end)
}

async fn served(front: SocketAddr) -> Result<(), String> {
    let target = "/front/items/a".into();
    let request = Request { method: "GET".to_owned(), target, headers: Vec::new(), body: Vec::new() };
    match timeout(NEIGHBOUR_TIMEOUT, send(front, &request)).await {
        Ok(answer) if answer.status == 200 => Ok(()),
        Ok(answer) => Err(format!("a neighbour gets {}", answer.status)),
        Err(_) => Err("a neighbour waits".to_owned()),
    }
}

const fn odd(number: u32) -> u32 {
    2 * number + 1
}

#[tokio::test(flavor = "multi_thread")]
async fn http2_flood_does_not_affect_other_callers() {
    const ENDS: &str = "Envoy ends what Hyper works off";
    let block = fields(&[(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", "/front/items/a")]);
    let each = |one: &dyn Fn(u32) -> Vec<u8>| (0..MANY).flat_map(one).collect::<Vec<u8>>();
    let goes_on = |more: &[u8]| {
        [frame(HEADERS, END_STREAM, 1, &block), frame(CONTINUATION, 0, 1, more).repeat(MANY as usize)].concat()
    };
    let reset =
        |path: &'static str| each(&|n| [get(odd(n), path, &[]), frame(RST_STREAM, 0, odd(n), &[0, 0, 0, 8])].concat());
    let rows = [
        Row::alike("requests that are reset at once", reset("/front/items/a"), "refused"),
        Row::alike("slow requests that are reset at once", reset("/front/hang"), "refused"),
        Row::alike("headers that go on", goes_on(&fields(&[("x-a", "b")])), "refused"),
        Row::alike("headers that go on with nothing", goes_on(&[]), "refused"),
        Row::alike("headers of many megabytes", goes_on(&fields(&[("x-a", &"b".repeat(4000))])), "refused"),
        Row::differ("settings", each(&|_| frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 100])), "refused", "200", ENDS),
        Row::differ("pings", each(&|_| frame(PING, 0, 0, &[0; 8])), "refused", "200", ENDS),
    ];
    check_rows(&Pair::start().await, 2, &rows, |front, bytes: &Vec<u8>| flood(front, bytes.clone())).await;
}
