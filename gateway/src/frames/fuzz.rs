//! Compares the reader of split frames with a reader of the whole body.

use bytes::Bytes;
use futures_util::{FutureExt as _, stream};
use http::{HeaderMap, HeaderValue};
use http_body::Frame;
use http_body_util::StreamBody;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::TestCaseResult;
use tonic::body::Body;
use tonic::{Code, Status};

use super::{Frames, MAX_MESSAGE, PREFIX, close_frame};

/// The messages of a body, and how it ends.
type Read = (Vec<Vec<u8>>, Option<Code>);

fuzz::target!(frames, (fuzz::damaged(framed()), vec(any::<Index>(), 0..12), any::<bool>()));

/// Some messages, each in its frame.
fn framed() -> impl Strategy<Value = Vec<u8>> {
    let frame = |message: Vec<u8>| {
        let mut frame = [vec![0; PREFIX], message].concat();
        close_frame(&mut frame);
        frame
    };
    vec(vec(any::<u8>(), 0..300).prop_map(frame), 0..6).prop_map(|frames| frames.concat())
}

/// A body in these pieces, some of which are empty, with trailers or without.
fn body(data: &[u8], cuts: &[Index], ended: bool) -> Body {
    let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(data.len() + 1)).chain([0, data.len()]).collect();
    cuts.sort_unstable();
    let pieces = cuts.windows(2).map(|piece| Frame::data(Bytes::copy_from_slice(&data[piece[0]..piece[1]])));
    let mut pieces: Vec<_> = pieces.map(Ok::<_, Status>).collect();
    if ended {
        pieces.push(Ok(Frame::trailers(HeaderMap::from_iter([(
            http::HeaderName::from_static("grpc-status"),
            HeaderValue::from_static("0"),
        )]))));
    }
    Body::new(StreamBody::new(stream::iter(pieces)))
}

fn read(body: Body) -> Read {
    let (mut frames, mut messages) = (Frames::new(&HeaderMap::new(), body), Vec::new());
    loop {
        match frames.next().now_or_never().unwrap() {
            Ok(Some(message)) => messages.push(message.to_vec()),
            Ok(None) => return (messages, None),
            Err(status) => return (messages, Some(status.code())),
        }
    }
}

/// Reads the messages of a whole body.
fn naive(mut data: &[u8], ended: bool) -> Read {
    let mut messages = Vec::new();
    while let [compressed, a, b, c, d, rest @ ..] = data {
        let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        if *compressed != 0 || length > MAX_MESSAGE {
            return (messages, Some(Code::Unknown));
        }
        let Some((message, after)) = rest.split_at_checked(length) else { break };
        messages.push(message.to_vec());
        data = after;
    }
    (messages, if ended && data.is_empty() { None } else { Some(Code::Unavailable) })
}

fn frames((data, cuts, ended): (Vec<u8>, Vec<Index>, bool)) -> TestCaseResult {
    prop_assert_eq!(read(body(&data, &cuts, ended)), naive(&data, ended));
    Ok(())
}
