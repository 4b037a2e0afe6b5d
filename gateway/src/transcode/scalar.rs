//! Single values: from the text of a path, a parameter, a JSON string or a JSON number to the wire.

use std::str::FromStr;

use base64::Engine as _;
use base64::alphabet::{Alphabet, STANDARD, URL_SAFE};
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};

use kernel::{FieldError, FieldReason};

use crate::json::is_number;
use crate::proto_time::{Instant, parse_duration, parse_timestamp};
use crate::schema::{EnumId, Kind, MessageId, Schema, Shape};
use crate::wire::{WireType, close_length, put_bytes, put_tag, put_varint, zigzag};

/// Returns the wire type of a kind.
pub(crate) const fn wire_type(kind: Kind) -> WireType {
    match kind {
        Kind::Double | Kind::Fixed64 | Kind::Sfixed64 => WireType::Fixed64,
        Kind::Float | Kind::Fixed32 | Kind::Sfixed32 => WireType::Fixed32,
        Kind::String | Kind::Bytes | Kind::Message(_) => WireType::Bytes,
        Kind::Int32
        | Kind::Int64
        | Kind::Uint32
        | Kind::Uint64
        | Kind::Sint32
        | Kind::Sint64
        | Kind::Bool
        | Kind::Enum(_) => WireType::Varint,
    }
}

/// Appends the value that a text names, without a tag. A number is written as JSON writes it.
pub(crate) fn put_text(schema: &Schema, kind: Kind, text: &str, out: &mut Vec<u8>) -> Result<(), FieldError> {
    match kind {
        Kind::Double => out.extend_from_slice(&double(text)?.to_le_bytes()),
        Kind::Float => out.extend_from_slice(&float(text)?.to_le_bytes()),
        Kind::Int32 => put_varint(out, i64::from(int32(text)?).cast_unsigned()),
        Kind::Sint32 => put_varint(out, zigzag(i64::from(int32(text)?))),
        Kind::Sfixed32 => out.extend_from_slice(&int32(text)?.to_le_bytes()),
        Kind::Int64 => put_varint(out, int64(text)?.cast_unsigned()),
        Kind::Sint64 => put_varint(out, zigzag(int64(text)?)),
        Kind::Sfixed64 => out.extend_from_slice(&int64(text)?.to_le_bytes()),
        Kind::Uint32 => put_varint(out, u64::from(uint32(text)?)),
        Kind::Fixed32 => out.extend_from_slice(&uint32(text)?.to_le_bytes()),
        Kind::Uint64 => put_varint(out, uint64(text)?),
        Kind::Fixed64 => out.extend_from_slice(&uint64(text)?.to_le_bytes()),
        Kind::Bool => put_varint(out, u64::from(boolean(text)?)),
        Kind::String => put_bytes(out, text.as_bytes()),
        Kind::Bytes => put_bytes(out, &base64(text)?),
        Kind::Enum(id) => put_varint(out, i64::from(enumeration(schema, id, text)?).cast_unsigned()),
        Kind::Message(id) => put_message(schema, id, text, out)?,
    }
    Ok(())
}

/// Appends a message that is one value in JSON.
fn put_message(schema: &Schema, id: MessageId, text: &str, out: &mut Vec<u8>) -> Result<(), FieldError> {
    let message = schema.message(id);
    match message.shape {
        Shape::Timestamp => {
            put_instant(out, parse_timestamp(text)?);
        }
        Shape::Duration => {
            let must = "must be a number of seconds with an s, such as 1.5s";
            put_instant(out, parse_duration(text).ok_or(FieldError::new(FieldReason::Malformed, must))?);
        }
        Shape::Wrapper => {
            let start = out.len();
            if let Some(field) = message.fields.first() {
                put_tag(out, field.number, wire_type(field.kind));
                put_text(schema, field.kind, text, out)?;
            }
            close_length(out, start);
        }
        Shape::Object | Shape::Any => return Err(FieldError::new(FieldReason::Malformed, "must be an object")),
    }
    Ok(())
}

/// `Timestamp` and `Duration` alike: seconds are field 1, nanoseconds field 2.
fn put_instant(out: &mut Vec<u8>, instant: Instant) {
    let start = out.len();
    put_tag(out, 1, WireType::Varint);
    put_varint(out, instant.seconds.cast_unsigned());
    put_tag(out, 2, WireType::Varint);
    put_varint(out, i64::from(instant.nanos).cast_unsigned());
    close_length(out, start);
}

fn double(text: &str) -> Result<f64, FieldError> {
    const MUST: FieldError = FieldError::new(FieldReason::Malformed, "must be a number");
    match text {
        "NaN" => return Ok(f64::NAN),
        "Infinity" => return Ok(f64::INFINITY),
        "-Infinity" => return Ok(f64::NEG_INFINITY),
        _ if !is_number(text) => return Err(MUST),
        _ => {}
    }
    let value: f64 = text.parse().map_err(|_| MUST)?;
    if value.is_finite() {
        Ok(value)
    } else {
        Err(FieldError::new(FieldReason::OutOfRange, "must be a number within the range of a double"))
    }
}

#[allow(clippy::cast_possible_truncation, reason = "the nearest float is what is meant")]
fn float(text: &str) -> Result<f32, FieldError> {
    let wide = double(text)?;
    let value = wide as f32;
    if value.is_infinite() && wide.is_finite() {
        return Err(FieldError::new(FieldReason::OutOfRange, "must be a number within the range of a float"));
    }
    // Parsed directly: through a double it would be rounded twice.
    if wide.is_finite() { Ok(text.parse().unwrap_or(value)) } else { Ok(value) }
}

fn int32(text: &str) -> Result<i32, FieldError> {
    integer(text).ok_or_else(|| not_whole(text, "must be a whole number from -2147483648 to 2147483647"))
}

fn int64(text: &str) -> Result<i64, FieldError> {
    const MUST: &str = "must be a whole number from -9223372036854775808 to 9223372036854775807";
    integer(text).ok_or_else(|| not_whole(text, MUST))
}

fn uint32(text: &str) -> Result<u32, FieldError> {
    integer(text).ok_or_else(|| not_whole(text, "must be a whole number from 0 to 4294967295"))
}

fn uint64(text: &str) -> Result<u64, FieldError> {
    integer(text).ok_or_else(|| not_whole(text, "must be a whole number from 0 to 18446744073709551615"))
}

/// A whole number within the range of its type; it may be written with a fraction or an exponent, as `1.0` or `1e3`.
fn integer<T: FromStr + TryFrom<i128>>(text: &str) -> Option<T> {
    text.parse().ok().or_else(|| {
        let value: f64 = Some(text).filter(|text| is_number(text))?.parse().ok()?;
        #[allow(clippy::cast_possible_truncation, reason = "a whole number of this size fits")]
        let whole = (value.fract() == 0.0 && value.abs() < 1e20).then_some(value as i128)?;
        whole.try_into().ok()
    })
}

/// Returns the error of a text that is no whole number, or one out of the range of its type.
fn not_whole(text: &str, must: &'static str) -> FieldError {
    let value = Some(text).filter(|text| is_number(text)).and_then(|text| text.parse::<f64>().ok());
    let is_whole = value.is_some_and(|value| value.is_infinite() || value.fract() == 0.0);
    FieldError::new(if is_whole { FieldReason::OutOfRange } else { FieldReason::Malformed }, must)
}

fn boolean(text: &str) -> Result<bool, FieldError> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(FieldError::new(FieldReason::Malformed, "must be true or false")),
    }
}

fn enumeration(schema: &Schema, id: EnumId, text: &str) -> Result<i32, FieldError> {
    let kind = schema.enumeration(id);
    if let Some(number) = kind.number(text) {
        return Ok(number);
    }
    if is_number(text)
        && let Ok(number) = int32(text)
        && kind.quoted(number).is_some()
    {
        return Ok(number);
    }
    // The value that stands for none (AIP-126) is no remedy.
    let names = kind.names().filter(|name| !name.ends_with("_UNSPECIFIED")).collect::<Vec<_>>();
    Err(FieldError::not_one_of(&names))
}

/// Decodes base64 of either alphabet, padded or not.
fn base64(text: &str) -> Result<Vec<u8>, FieldError> {
    let alphabet: &Alphabet = if text.contains(['-', '_']) { &URL_SAFE } else { &STANDARD };
    let lenient = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    GeneralPurpose::new(alphabet, lenient)
        .decode(text)
        .map_err(|_| FieldError::new(FieldReason::Malformed, "must be bytes in base64"))
}
