//! Crockford's base32: text in the order of the bytes that it encodes, for keys.

const SYMBOLS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Encodes bytes, five bits a symbol; the last symbol is filled up with zeros.
pub(super) fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(length(bytes.len()));
    let (mut buffer, mut bits) = (0_u32, 0);
    let symbol = |value: u32| char::from(SYMBOLS[value as usize % SYMBOLS.len()]);
    for byte in bytes {
        buffer = (buffer & 0x1f) << 8 | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            text.push(symbol(buffer >> bits));
        }
    }
    if bits > 0 {
        text.push(symbol(buffer << (5 - bits)));
    }
    text
}

/// Decodes a text of this many bytes; none if [`encode`] doesn't return it for any.
pub(super) fn decode<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != length(N) {
        return None;
    }
    let (mut bytes, mut filled) = ([0; N], 0);
    let (mut buffer, mut bits) = (0_u32, 0);
    for symbol in text.bytes() {
        let value = SYMBOLS.iter().position(|known| *known == symbol)?;
        buffer = (buffer & 0xff) << 5 | u32::try_from(value).ok()?;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            *bytes.get_mut(filled)? = u8::try_from(buffer >> bits & 0xff).ok()?;
            filled += 1;
        }
    }
    let is_filled_with_zeros = buffer & ((1 << bits) - 1) == 0;
    is_filled_with_zeros.then_some(bytes)
}

/// Returns the length of the text of this many bytes.
pub(super) const fn length(bytes: usize) -> usize {
    (bytes * 8).div_ceil(5)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn text_of_crockford_is_encoded_and_decoded() {
        for (bytes, text) in [(*b"\0\0", "0000"), (*b"\xff\xff", "ZZZG"), (*b"fo", "CSQG")] {
            assert_eq!(encode(&bytes), text);
            assert_eq!(decode::<2>(text), Some(bytes));
        }
        for bad in ["", "000", "00000", "000U", "000I", "zzzg", "ZZZH", "ZZZé"] {
            assert_eq!(decode::<2>(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn text_keeps_order_and_round_trips(one: [u8; 22], other: [u8; 22]) {
            prop_assert_eq!(one.cmp(&other), encode(&one).cmp(&encode(&other)));
            prop_assert_eq!(decode(&encode(&one)), Some(one));
        }
    }
}
