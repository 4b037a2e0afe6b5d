//! Files of the page, plain and as gzip. The binary holds only one of the two; the other is made on first use, and kept.

use std::io::Read;
use std::sync::OnceLock;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::Bytes;
use flate2::Compression;
use flate2::read::{GzDecoder, GzEncoder};
use http::HeaderValue;

/// A file of the page.
pub(super) struct Asset {
    stored: Stored,
    pub(super) content_type: &'static str,
    made: OnceLock<Bytes>,
    /// The entity tags of the plain file and of the gzip one: other bytes, so another tag.
    tags: OnceLock<[HeaderValue; 2]>,
}

enum Stored {
    Plain(&'static [u8]),
    Gzip(&'static [u8]),
}

impl Asset {
    pub(super) const fn own(bytes: &'static [u8], content_type: &'static str) -> Self {
        Self { stored: Stored::Plain(bytes), content_type, made: OnceLock::new(), tags: OnceLock::new() }
    }

    pub(super) const fn gzip(bytes: &'static [u8], content_type: &'static str) -> Self {
        Self { stored: Stored::Gzip(bytes), content_type, made: OnceLock::new(), tags: OnceLock::new() }
    }

    pub(super) fn bytes(&'static self, gzip: bool) -> Bytes {
        match (&self.stored, gzip) {
            (Stored::Plain(bytes), false) | (Stored::Gzip(bytes), true) => Bytes::from_static(bytes),
            (Stored::Plain(bytes), true) => self.made(|| GzEncoder::new(*bytes, Compression::default())),
            (Stored::Gzip(bytes), false) => self.made(|| GzDecoder::new(*bytes)),
        }
    }

    fn made<R: Read>(&self, other: impl FnOnce() -> R) -> Bytes {
        let made = self.made.get_or_init(|| {
            let mut bytes = Vec::new();
            match other().read_to_end(&mut bytes) {
                Ok(_) => Bytes::from(bytes),
                // The file is in the binary and whole: a test reads each both ways.
                Err(_) => Bytes::new(),
            }
        });
        made.clone()
    }

    pub(super) fn tag(&self, gzip: bool) -> &HeaderValue {
        let tags = self.tags.get_or_init(|| {
            let (Stored::Plain(bytes) | Stored::Gzip(bytes)) = self.stored;
            let digest = BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, bytes));
            let of = |kind| HeaderValue::try_from(format!("\"{digest}{kind}\""));
            [of(""), of("-gzip")].map(|tag| tag.unwrap_or(HeaderValue::from_static("\"\"")))
        });
        &tags[usize::from(gzip)]
    }
}
