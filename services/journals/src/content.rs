//! Encodes and decodes the sealed part of an entry.

use kernel::{Error, Result, Timestamp};
use prost::Message as _;
use zeroize::Zeroizing;

use crate::model::{Content, Emotion, Visibility};

/// Version of the encoding. It is stored beside the content, and authenticated by the seal.
pub(crate) const FORMAT: u8 = 1;

/// The sealed part of an entry: the client's content, and the time since which others may see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Opened {
    pub(crate) content: Content,
    /// Time at which it was last made SHARED; `None` while PRIVATE, and if an earlier version of this service wrote it.
    pub(crate) shared_since: Option<Timestamp>,
}

/// Version 1 of the encoding. Visibility is sealed, so that write access to the table can't make a private entry
/// visible.
#[derive(Clone, PartialEq, prost::Message)]
#[prost(skip_debug)]
struct Written {
    #[prost(string, tag = "1")]
    emotion: String,
    #[prost(uint32, tag = "2")]
    intensity: u32,
    #[prost(string, tag = "3")]
    note: String,
    #[prost(bool, tag = "4")]
    private: bool,
    /// Milliseconds since 1970; absent if an earlier version of this service wrote it.
    #[prost(sint64, optional, tag = "5")]
    shared_since: Option<i64>,
}

impl std::fmt::Debug for Written {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Written(…)")
    }
}

/// Encodes a content in the version [`FORMAT`].
pub(crate) fn encode(content: &Content, shared_since: Option<Timestamp>) -> Zeroizing<Vec<u8>> {
    let Content { emotion, intensity, note, visibility } = content;
    let written = Written {
        emotion: emotion.as_str().to_owned(),
        intensity: intensity.get().into(),
        note: note.as_str().to_owned(),
        private: *visibility == Visibility::Private,
        shared_since: shared_since.map(Timestamp::as_millisecond),
    };
    Zeroizing::new(written.encode_to_vec())
}

/// Decodes a content of this version.
///
/// # Errors
/// INTERNAL when the bytes are not a content of this version.
pub(crate) fn decode(format: u8, bytes: &[u8]) -> Result<Opened> {
    let broken = || Error::internal(format!("what was sealed is no content of form {format}"));
    if format != FORMAT {
        return Err(broken());
    }
    let Written { emotion, intensity, note, private, shared_since } = Written::decode(bytes).map_err(|_| broken())?;
    let intensity = i32::try_from(intensity).map_err(|_| broken())?;
    let content = Content {
        emotion: Emotion::from_stored(emotion),
        intensity: intensity.try_into().map_err(|_| broken())?,
        note: note.try_into().map_err(|_| broken())?,
        visibility: if private { Visibility::Private } else { Visibility::Shared },
    };
    let shared_since = shared_since.map(Timestamp::from_millisecond).transpose().map_err(|_| broken())?;
    Ok(Opened { content, shared_since })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_round_trips_and_invalid_bytes_are_rejected() {
        let now = Some(Timestamp::from_millisecond(1_800_000_000_001).unwrap());
        for (visibility, shared_since) in
            [(Visibility::Shared, now), (Visibility::Shared, None), (Visibility::Private, None)]
        {
            let content = Content {
                emotion: "wistful".parse().unwrap(),
                intensity: 4.try_into().unwrap(),
                note: "first line\nsecond".to_owned().try_into().unwrap(),
                visibility,
            };
            let bytes = encode(&content, shared_since);
            assert_eq!(decode(FORMAT, &bytes).unwrap(), Opened { content, shared_since });
            assert!(decode(FORMAT + 1, &bytes).is_err());
            assert!(decode(FORMAT, &bytes[..5]).is_err());
        }
        assert!(decode(FORMAT, &[]).is_err());
    }
}
