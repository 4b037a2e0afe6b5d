//! Strings and numbers as JSON writes them.

use std::fmt;
use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Appends a string in quotes.
pub(crate) fn put_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let mut rest = text.as_bytes();
    while let Some(at) = first_to_escape(rest) {
        let (plain, from) = rest.split_at(at);
        out.extend_from_slice(plain);
        let Some((&byte, after)) = from.split_first() else { break };
        put_escaped(out, byte);
        rest = after;
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

/// Returns the offset of the first byte that must be escaped. Nearly all text has none, so it checks eight bytes at once.
fn first_to_escape(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH: u64 = u64::from_ne_bytes([0x80; 8]);
    let (words, _) = bytes.as_chunks::<8>();
    let mut at = 0;
    for word in words {
        let word = u64::from_ne_bytes(*word);
        let zero_in = |word: u64| word.wrapping_sub(ONES) & !word;
        let control = word.wrapping_sub(ONES * 0x20) & !word;
        let quote = zero_in(word ^ (ONES * u64::from(b'"')));
        let backslash = zero_in(word ^ (ONES * u64::from(b'\\')));
        if (control | quote | backslash) & HIGH != 0 {
            break;
        }
        at += 8;
    }
    bytes[at..].iter().position(|byte| escape(*byte).is_some()).map(|found| at + found)
}

fn put_escaped(out: &mut Vec<u8>, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let letter = escape(byte).unwrap_or(byte);
    out.extend_from_slice(&[b'\\', letter]);
    if letter == b'u' {
        let digit = |nibble: u8| DIGITS[usize::from(nibble & 15)];
        out.extend_from_slice(&[b'0', b'0', digit(byte >> 4), digit(byte)]);
    }
}

/// Returns the character after the backslash of a byte that must be escaped.
const fn escape(byte: u8) -> Option<u8> {
    match byte {
        b'"' | b'\\' => Some(byte),
        b'\n' => Some(b'n'),
        b'\r' => Some(b'r'),
        b'\t' => Some(b't'),
        0x08 => Some(b'b'),
        0x0c => Some(b'f'),
        ..0x20 => Some(b'u'),
        _ => None,
    }
}

/// Appends an integer.
pub(crate) fn put_integer(out: &mut Vec<u8>, value: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Appends a floating-point number by the shortest text that reads as the same, or, where JSON has no such number, its
/// name in quotes.
pub(crate) fn put_float<T: Into<f64> + Copy + fmt::Debug>(out: &mut Vec<u8>, value: T) {
    let wide: f64 = value.into();
    let name = match () {
        () if wide.is_nan() => "\"NaN\"",
        () if wide == f64::INFINITY => "\"Infinity\"",
        () if wide == f64::NEG_INFINITY => "\"-Infinity\"",
        () => {
            // Writing to memory can't fail. `Debug` turns to exponents where `Display` would print a page of zeros.
            let _ = write!(out, "{value:?}");
            if out.ends_with(b".0") {
                out.truncate(out.len() - 2);
            }
            return;
        }
    };
    out.extend_from_slice(name.as_bytes());
}

/// Appends bytes in base64, in quotes.
pub(crate) fn put_base64(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    let start = out.len();
    out.resize(start + bytes.len().div_ceil(3) * 4, 0);
    // The room is exactly what the padded alphabet needs.
    let written = STANDARD.encode_slice(bytes, &mut out[start..]).unwrap_or_default();
    out.truncate(start + written);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn written_string_reads_back(text in any::<String>()) {
            let mut out = Vec::new();
            put_string(&mut out, &text);
            prop_assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
        }

        #[test]
        fn written_float_reads_back(value in any::<f64>()) {
            prop_assume!(value.is_finite());
            let mut out = Vec::new();
            put_float(&mut out, value);
            let text = String::from_utf8(out).unwrap();
            prop_assert_eq!(text.parse::<f64>().unwrap().to_bits(), value.to_bits());
            prop_assert!(crate::json::is_number(&text), "{}", text);
        }

        #[test]
        fn bytes_become_padded_base64(bytes in any::<Vec<u8>>()) {
            let mut out = Vec::new();
            put_base64(&mut out, &bytes);
            prop_assert_eq!(out, format!("\"{}\"", STANDARD.encode(&bytes)).into_bytes());
        }
    }
}
