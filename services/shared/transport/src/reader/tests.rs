use std::convert::Infallible;
use std::net::IpAddr;

use futures_util::future::join_all;
use http_body_util::channel::{Channel, Sender};
use http_body_util::{Empty, Full};

use super::*;

fn source(last: u8) -> Holders {
    Holders::of_source(IpAddr::from([192, 0, 2, last]))
}

/// A body that somebody sends piece by piece.
fn sent() -> (Sender<Bytes, Infallible>, Channel<Bytes, Infallible>) {
    Channel::new(16)
}

/// Sends so many bytes again and again, with a pause before each, until nobody reads any more.
async fn trickle(mut sender: Sender<Bytes, Infallible>, bytes: usize, pause: Duration) {
    loop {
        tokio::time::sleep(pause).await;
        if sender.send_data(Bytes::from(vec![0; bytes])).await.is_err() {
            return;
        }
    }
}

/// Reads a body that comes in such pieces. Returns the outcome, and the time it took.
async fn ends(bytes: usize, pause: Duration, most: usize) -> (Result<usize, &'static str>, Duration) {
    let (sender, body) = sent();
    let (reader, start) = (Reader::default(), Instant::now());
    let read = async {
        let read = reader.read(body, source(1), most).await;
        (read, start.elapsed())
    };
    let ((read, time), ()) = tokio::join!(read, trickle(sender, bytes, pause));
    let read = read.map(|bytes| bytes.len()).map_err(|unread| match unread {
        Unread::TooLarge => "too large",
        Unread::TooSlow => "too slow",
        Unread::Replaced => "replaced",
        Unread::Broken => "broken",
    });
    (read, time)
}

#[tokio::test(start_paused = true)]
async fn complete_message_is_read_at_once() {
    let reader = Reader::default();
    let whole = reader.read(Full::new(Bytes::from_static(b"whole")), source(1), 5).await.unwrap();
    assert_eq!(whole, "whole");
    assert_eq!(reader.read(Empty::<Bytes>::new(), source(1), 5).await.unwrap(), "");
}

#[tokio::test(start_paused = true)]
async fn message_in_pieces_is_read_whole() {
    let (mut sender, body) = sent();
    let sends = async {
        for piece in ["on", "e ", "", "message"] {
            tokio::time::sleep(Duration::from_millis(700)).await;
            sender.send_data(Bytes::from_static(piece.as_bytes())).await.unwrap();
        }
        drop(sender);
    };
    let reader = Reader::default();
    let (read, ()) = tokio::join!(reader.read(body, source(1), 100), sends);
    assert_eq!(read.unwrap(), "one message");
}

#[tokio::test(start_paused = true)]
async fn silent_message_times_out_after_5_seconds() {
    let (read, time) = ends(0, Duration::from_secs(1), 100).await;
    assert_eq!((read, time.as_secs()), (Err("too slow"), 5));
}

#[tokio::test(start_paused = true)]
async fn trickling_message_times_out_after_5_seconds() {
    let (read, time) = ends(1, Duration::from_millis(500), 1 << 20).await;
    assert_eq!((read, time.as_secs()), (Err("too slow"), 5));
    let (read, time) = ends(1, Duration::from_millis(4900), 1 << 20).await;
    assert_eq!((read, time.as_secs()), (Err("too slow"), 5));
}

#[tokio::test(start_paused = true)]
async fn message_at_minimum_rate_times_out_after_15_seconds() {
    let (read, time) = ends(8 * 1024, Duration::from_secs(1), 1 << 20).await;
    assert_eq!((read, time.as_secs()), (Err("too slow"), 15));
}

#[tokio::test(start_paused = true)]
async fn large_message_is_refused_while_it_arrives() {
    let (read, time) = ends(1000, Duration::from_millis(1), 2500).await;
    assert_eq!((read, time.as_millis()), (Err("too large"), 3));
}

#[tokio::test(start_paused = true)]
async fn newcomer_replaces_longest_awaited_of_caller() {
    let reader = Reader::default();
    let (senders, bodies): (Vec<_>, Vec<_>) = (0..=AWAITED_OF_CALLER).map(|_| sent()).unzip();
    let (_neighbour, body) = sent();
    let neighbour = reader.read(body, source(2), 10);
    let reads = bodies.into_iter().map(|body| reader.read(body, source(1), 10));
    let (neighbour, mut reads) = tokio::join!(neighbour, join_all(reads));
    assert!(matches!(reads.remove(0), Err(Unread::Replaced)), "the first has waited longest");
    assert!(reads.iter().all(|read| matches!(read, Err(Unread::TooSlow))));
    assert!(matches!(neighbour, Err(Unread::TooSlow)), "another caller keeps its slot");
    drop(senders);
}

#[tokio::test(start_paused = true)]
async fn slots_of_all_callers_are_bounded() {
    let reader = Reader::default();
    let (senders, bodies): (Vec<_>, Vec<_>) = (0..AWAITED + 10).map(|_| sent()).unzip();
    let callers = (0..=u8::MAX).cycle();
    let reads = bodies.into_iter().zip(callers).map(|(body, caller)| reader.read(body, source(caller), 10));
    let reads = join_all(reads).await;
    let replaced = reads.iter().filter(|read| matches!(read, Err(Unread::Replaced))).count();
    assert_eq!(replaced, 10);
    drop(senders);
}
