//! The protobuf wire format: varints, tags and the values behind them.
//!
//! Source: <https://protobuf.dev/programming-guides/encoding/>.

/// Error: the bytes are no protobuf message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the bytes are no message of this kind")]
pub(crate) struct DecodeError;

/// Wire type of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WireType {
    Varint = 0,
    Fixed64 = 1,
    Bytes = 2,
    Fixed32 = 5,
}

/// One value in its wire form.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Raw<'a> {
    Varint(u64),
    Fixed64(u64),
    Fixed32(u32),
    Bytes(&'a [u8]),
}

impl<'a> Raw<'a> {
    /// The payload of a length-delimited value.
    pub(crate) fn bytes(self) -> Result<&'a [u8], DecodeError> {
        if let Raw::Bytes(bytes) = self { Ok(bytes) } else { Err(DecodeError) }
    }
}

/// Reads a message from its first byte to its last.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(crate) const fn at(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at }
    }

    pub(crate) const fn offset(&self) -> usize {
        self.at
    }

    pub(crate) const fn is_done(&self) -> bool {
        self.at >= self.bytes.len()
    }

    /// The next tag: the field's number and the wire type.
    #[inline]
    pub(crate) fn tag(&mut self) -> Result<(u32, WireType), DecodeError> {
        let tag = u32::try_from(self.varint()?).map_err(|_| DecodeError)?;
        let wire_type = match tag & 7 {
            0 => WireType::Varint,
            1 => WireType::Fixed64,
            2 => WireType::Bytes,
            5 => WireType::Fixed32,
            _ => return Err(DecodeError),
        };
        let number = tag >> 3;
        if number == 0 { Err(DecodeError) } else { Ok((number, wire_type)) }
    }

    /// The value behind a tag.
    #[inline]
    pub(crate) fn value(&mut self, wire_type: WireType) -> Result<Raw<'a>, DecodeError> {
        Ok(match wire_type {
            WireType::Varint => Raw::Varint(self.varint()?),
            WireType::Fixed64 => Raw::Fixed64(u64::from_le_bytes(self.array()?)),
            WireType::Fixed32 => Raw::Fixed32(u32::from_le_bytes(self.array()?)),
            WireType::Bytes => {
                let length = usize::try_from(self.varint()?).map_err(|_| DecodeError)?;
                Raw::Bytes(self.take(length)?)
            }
        })
    }

    /// Skips the value behind a tag.
    #[inline]
    pub(crate) fn skip(&mut self, wire_type: WireType) -> Result<(), DecodeError> {
        let length = match wire_type {
            WireType::Varint => return self.varint().map(drop),
            WireType::Fixed64 => 8,
            WireType::Fixed32 => 4,
            WireType::Bytes => usize::try_from(self.varint()?).map_err(|_| DecodeError)?,
        };
        self.take(length).map(drop)
    }

    #[inline]
    pub(crate) fn varint(&mut self) -> Result<u64, DecodeError> {
        if let Some(byte @ ..0x80) = self.bytes.get(self.at) {
            self.at += 1;
            return Ok(u64::from(*byte));
        }
        self.long_varint()
    }

    fn long_varint(&mut self) -> Result<u64, DecodeError> {
        let mut value = 0_u64;
        for shift in (0..70).step_by(7) {
            let byte = *self.bytes.get(self.at).ok_or(DecodeError)?;
            self.at += 1;
            // The tenth byte has room for one bit.
            if shift == 63 && byte > 1 {
                return Err(DecodeError);
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(DecodeError)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        self.take(N)?.try_into().map_err(|_| DecodeError)
    }

    #[inline]
    fn take(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        let end = self.at.checked_add(length).ok_or(DecodeError)?;
        let taken = self.bytes.get(self.at..end).ok_or(DecodeError)?;
        self.at = end;
        Ok(taken)
    }
}

/// Appends a varint.
pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(low_bits(value) | 0x80);
        value >>= 7;
    }
    out.push(low_bits(value));
}

#[allow(clippy::cast_possible_truncation, reason = "seven bits remain")]
const fn low_bits(value: u64) -> u8 {
    (value & 0x7f) as u8
}

/// Appends a tag.
pub(crate) fn put_tag(out: &mut Vec<u8>, number: u32, wire_type: WireType) {
    put_varint(out, u64::from(number) << 3 | wire_type as u64);
}

/// Appends a length and that many bytes.
pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Inserts the length of the bytes appended since `start` before them.
pub(crate) fn close_length(out: &mut Vec<u8>, start: usize) {
    let end = out.len();
    put_varint(out, (end - start) as u64);
    let length = out.len() - end;
    out[start..].rotate_right(length);
}

/// ZigZag, as sint32 and sint64 lie on the wire.
pub(crate) const fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63).cast_unsigned()
}

/// The inverse of [`zigzag`].
pub(crate) const fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -((value & 1).cast_signed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_varint_reads_back() {
        for value in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX] {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            let mut cursor = Cursor::new(&out);
            assert_eq!(cursor.varint(), Ok(value));
            assert!(cursor.is_done());
        }
    }

    #[test]
    fn varint_beyond_64_bits_is_rejected() {
        for bytes in [[0xff; 11].as_slice(), &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02], &[0x80]] {
            assert_eq!(Cursor::new(bytes).varint(), Err(DecodeError));
        }
    }

    #[test]
    fn length_precedes_content() {
        for length in [0, 1, 127, 128, 20_000] {
            let mut out = vec![1, 2, 3];
            out.resize(3 + length, 7);
            close_length(&mut out, 3);
            let mut cursor = Cursor::at(&out, 3);
            assert_eq!(cursor.value(WireType::Bytes), Ok(Raw::Bytes(&vec![7; length][..])));
            assert!(cursor.is_done());
        }
    }

    #[test]
    fn zigzag_round_trips() {
        for value in [0, -1, 1, i64::MIN, i64::MAX, -300] {
            assert_eq!(unzigzag(zigzag(value)), value);
        }
        assert_eq!((zigzag(-1), zigzag(1)), (1, 2));
    }
}
