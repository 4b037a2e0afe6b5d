//! Encodes a list of byte strings unambiguously as one: each is preceded by its length.

pub(crate) fn frame<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut framed = Vec::new();
    for part in parts {
        framed.extend_from_slice(&(part.len() as u64).to_be_bytes());
        framed.extend_from_slice(part);
    }
    framed
}

/// Returns the parts of a frame, or none if the bytes are no frame.
pub(crate) fn unframe(mut framed: &[u8]) -> Option<Vec<&[u8]>> {
    let mut parts = Vec::new();
    while !framed.is_empty() {
        let (length, rest) = framed.split_first_chunk::<8>()?;
        let (part, rest) = rest.split_at_checked(usize::try_from(u64::from_be_bytes(*length)).ok()?)?;
        parts.push(part);
        framed = rest;
    }
    Some(parts)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn frame_round_trip_returns_its_parts(parts: Vec<Vec<u8>>) {
            let framed = frame(parts.iter().map(Vec::as_slice));
            prop_assert_eq!(unframe(&framed).unwrap(), parts);
        }

        #[test]
        fn malformed_frame_is_refused_without_panic(bytes: Vec<u8>) {
            if let Some(parts) = unframe(&bytes) {
                prop_assert_eq!(frame(parts), bytes);
            }
        }
    }
}
