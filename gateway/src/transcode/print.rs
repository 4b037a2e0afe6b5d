//! Prints the wire format as JSON, members in the order of their numbers. Nearly every message comes with its fields in that order, each
//! once, and is printed while it is read. The wire may also bring them in any order and more than once: then a message is read
//! twice, once to locate its fields, and once to print them.

use std::collections::BTreeMap;

use crate::json::{put_base64, put_float, put_integer, put_string};
use crate::proto_time::{Instant, put_duration, put_timestamp};
use crate::schema::{Cardinality, Field, Kind, Message, MessageId, Schema, Shape};
use crate::wire::{Cursor, DecodeError, Raw, WireType, unzigzag};

/// Maximum nesting of messages: protobuf's own limit.
const MAX_DEPTH: usize = 100;

/// Prints messages of a schema; used again, it allocates nothing but the text.
#[derive(Debug)]
pub(crate) struct Printer<'s> {
    schema: &'s Schema,
    /// Places of the fields of each open message: a stack, one frame per message.
    places: Vec<Place>,
    depth: usize,
}

/// Offsets of a field's first and last tag in its message.
#[derive(Debug, Clone, Copy)]
struct Place {
    first: usize,
    last: usize,
}

impl Place {
    const NOWHERE: Self = Self { first: usize::MAX, last: usize::MAX };

    const fn is_nowhere(self) -> bool {
        self.first == usize::MAX
    }
}

impl<'s> Printer<'s> {
    pub(crate) const fn new(schema: &'s Schema) -> Self {
        Self { schema, places: Vec::new(), depth: 0 }
    }

    /// Appends a message as JSON.
    pub(crate) fn message(&mut self, id: MessageId, wire: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
        if self.depth == MAX_DEPTH {
            return Err(DecodeError);
        }
        self.depth += 1;
        let message = self.schema.message(id);
        match message.shape {
            Shape::Object => {
                out.push(b'{');
                self.members(message, wire, out)?;
                out.push(b'}');
            }
            Shape::Timestamp => put_timestamp(out, instant(wire)?).ok_or(DecodeError)?,
            Shape::Duration => put_duration(out, instant(wire)?).ok_or(DecodeError)?,
            Shape::Wrapper => self.wrapped(message, wire, out)?,
            Shape::Any => self.any(wire, out)?,
        }
        self.depth -= 1;
        Ok(())
    }

    /// Appends the value of one field of a message, as JSON; its default if it is not there.
    pub(crate) fn field_of(
        &mut self,
        id: MessageId,
        slot: usize,
        wire: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), DecodeError> {
        let message = self.schema.message(id);
        let base = self.locate_fields(message, wire)?;
        let place = self.places[base + slot];
        self.places.truncate(base);
        self.value_at(&message.fields[slot], place, wire, out)
    }

    /// The members of an object, with commas between them.
    fn members(&mut self, message: &Message, wire: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
        let start = out.len();
        if self.members_in_order(message, wire, out)? {
            return Ok(());
        }
        out.truncate(start);
        let base = self.locate_fields(message, wire)?;
        for (slot, field) in message.fields.iter().enumerate() {
            let place = self.places[base + slot];
            self.member(field, place, wire, out)?;
        }
        self.places.truncate(base);
        Ok(())
    }

    /// Prints the members of a message whose fields are in order. Returns false, with partial output, if they are not, or if
    /// one is a list, a map, a oneof member, or an object, which would be printed again at each level above it.
    fn members_in_order(&mut self, message: &Message, wire: &[u8], out: &mut Vec<u8>) -> Result<bool, DecodeError> {
        let mut absent = 0;
        let mut cursor = Cursor::new(wire);
        while !cursor.is_done() {
            let (number, wire_type) = cursor.tag()?;
            let Some(slot) = message.slot(number) else {
                cursor.skip(wire_type)?;
                continue;
            };
            let (Some(between), Some(field)) = (message.fields.get(absent..slot), message.fields.get(slot)) else {
                return Ok(false);
            };
            let many = matches!(field.cardinality, Cardinality::Repeated | Cardinality::Map);
            if many || !field.oneof_siblings.is_empty() || self.is_object(field.kind) {
                return Ok(false);
            }
            for field in between {
                self.member(field, Place::NOWHERE, wire, out)?;
            }
            put_key(field, out);
            self.value(field.kind, cursor.value(wire_type)?, out)?;
            absent = slot + 1;
        }
        for field in message.fields.get(absent..).unwrap_or_default() {
            self.member(field, Place::NOWHERE, wire, out)?;
        }
        Ok(true)
    }

    fn is_object(&self, kind: Kind) -> bool {
        let inner = kind.message().map(|id| self.schema.message(id).shape);
        inner.is_some_and(|shape| !matches!(shape, Shape::Timestamp | Shape::Duration))
    }

    /// Prints a member, unless it has presence and is absent.
    fn member(&mut self, field: &Field, place: Place, wire: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
        if place.is_nowhere() && field.cardinality == Cardinality::Explicit {
            return Ok(());
        }
        put_key(field, out);
        self.value_at(field, place, wire, out)
    }

    /// Records the place of each field of a message in a frame on top of the stack. Returns the start of the frame.
    fn locate_fields(&mut self, message: &Message, wire: &[u8]) -> Result<usize, DecodeError> {
        let base = self.places.len();
        self.places.resize(base + message.fields.len(), Place::NOWHERE);
        let mut cursor = Cursor::new(wire);
        while !cursor.is_done() {
            let at = cursor.offset();
            let (number, wire_type) = cursor.tag()?;
            cursor.skip(wire_type)?;
            let Some(slot) = message.slot(number) else { continue };
            let place = &mut self.places[base + slot];
            if place.is_nowhere() {
                place.first = at;
            }
            place.last = at;
            for sibling in &message.fields[slot].oneof_siblings {
                self.places[base + sibling] = Place::NOWHERE;
            }
        }
        Ok(base)
    }

    fn value_at(&mut self, field: &Field, place: Place, wire: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
        match field.cardinality {
            Cardinality::Repeated => self.items(field, place, wire, out),
            Cardinality::Map => self.entries(field, place, wire, out),
            Cardinality::Implicit | Cardinality::Explicit if place.is_nowhere() => self.default(field.kind, out),
            Cardinality::Implicit | Cardinality::Explicit => {
                if let Kind::Message(id) = field.kind
                    && place.first != place.last
                {
                    // By the rules of the wire a message that comes in parts is their concatenation.
                    let mut whole = Vec::new();
                    each(field.number, place, wire, |_, raw| {
                        whole.extend_from_slice(raw.bytes()?);
                        Ok(())
                    })?;
                    return self.message(id, &whole, out);
                }
                let mut cursor = Cursor::at(wire, place.last);
                let (_, wire_type) = cursor.tag()?;
                self.value(field.kind, cursor.value(wire_type)?, out)
            }
        }
    }

    fn items(&mut self, field: &Field, place: Place, wire: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
        out.push(b'[');
        each(field.number, place, wire, |wire_type, raw| {
            let packed = wire_type == WireType::Bytes && wire_type != element_type(field.kind);
            if !packed {
                return self.item(field.kind, raw, out);
            }
            let mut cursor = Cursor::new(raw.bytes()?);
            while !cursor.is_done() {
                self.item(field.kind, cursor.value(element_type(field.kind))?, out)?;
            }
            Ok(())
        })?;
        out.push(b']');
        Ok(())
    }

    fn item(&mut self, kind: Kind, raw: Raw<'_>, out: &mut Vec<u8>) -> Result<(), DecodeError> {
        if !matches!(out.last(), Some(b'[')) {
            out.push(b',');
        }
        self.value(kind, raw, out)
    }

    /// The entries of a map, ordered by key: the wire has no order for them, and an answer should not change by chance.
    fn entries(&mut self, field: &Field, place: Place, wire: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
        let Kind::Message(entry) = field.kind else { return Err(DecodeError) };
        let message = self.schema.message(entry);
        let [key, _] = &*message.fields else { return Err(DecodeError) };
        let mut entries = BTreeMap::new();
        each(field.number, place, wire, |_, raw| {
            let content = raw.bytes()?;
            let mut name = Vec::new();
            self.field_of(entry, 0, content, &mut name)?;
            if !matches!(key.kind, Kind::String) && !name.starts_with(b"\"") {
                name.insert(0, b'"');
                name.push(b'"');
            }
            entries.insert(name, content);
            Ok(())
        })?;
        out.push(b'{');
        for (at, (name, content)) in entries.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            out.extend_from_slice(name);
            out.push(b':');
            self.field_of(entry, 1, content, out)?;
        }
        out.push(b'}');
        Ok(())
    }

    #[inline]
    fn value(&mut self, kind: Kind, raw: Raw<'_>, out: &mut Vec<u8>) -> Result<(), DecodeError> {
        match (kind, raw) {
            (Kind::String, Raw::Bytes(bytes)) => put_string(out, std::str::from_utf8(bytes).map_err(|_| DecodeError)?),
            (Kind::Message(id), Raw::Bytes(bytes)) => self.message(id, bytes, out)?,
            (Kind::Bytes, Raw::Bytes(bytes)) => put_base64(out, bytes),
            (Kind::Int32, Raw::Varint(value)) => put_integer(out, low(value).cast_signed()),
            (Kind::Uint32, Raw::Varint(value)) => put_integer(out, low(value)),
            (Kind::Sint32, Raw::Varint(value)) => put_integer(out, unzigzag(u64::from(low(value)))),
            (Kind::Fixed32, Raw::Fixed32(value)) => put_integer(out, value),
            (Kind::Sfixed32, Raw::Fixed32(value)) => put_integer(out, value.cast_signed()),
            (Kind::Int64, Raw::Varint(value)) => quoted(out, value.cast_signed()),
            (Kind::Uint64, Raw::Varint(value)) => quoted(out, value),
            (Kind::Sint64, Raw::Varint(value)) => quoted(out, unzigzag(value)),
            (Kind::Fixed64, Raw::Fixed64(value)) => quoted(out, value),
            (Kind::Sfixed64, Raw::Fixed64(value)) => quoted(out, value.cast_signed()),
            (Kind::Double, Raw::Fixed64(value)) => put_float(out, f64::from_bits(value)),
            (Kind::Float, Raw::Fixed32(value)) => put_float(out, f32::from_bits(value)),
            (Kind::Bool, Raw::Varint(value)) => out.extend_from_slice(if value == 0 { b"false" } else { b"true" }),
            (Kind::Enum(id), Raw::Varint(value)) => {
                let number = low(value).cast_signed();
                match self.schema.enumeration(id).quoted(number) {
                    Some(name) => out.extend_from_slice(name.as_bytes()),
                    None => put_integer(out, number),
                }
            }
            _ => return Err(DecodeError),
        }
        Ok(())
    }

    /// Prints the default of an absent field.
    fn default(&mut self, kind: Kind, out: &mut Vec<u8>) -> Result<(), DecodeError> {
        let zero = match kind {
            Kind::String | Kind::Bytes => "\"\"",
            Kind::Bool => "false",
            Kind::Int64 | Kind::Uint64 | Kind::Sint64 | Kind::Fixed64 | Kind::Sfixed64 => "\"0\"",
            Kind::Enum(id) => self.schema.enumeration(id).quoted(0).unwrap_or("0"),
            Kind::Message(id) => return self.message(id, &[], out),
            Kind::Double | Kind::Float | Kind::Int32 | Kind::Uint32 | Kind::Sint32 | Kind::Fixed32 | Kind::Sfixed32 => {
                "0"
            }
        };
        out.extend_from_slice(zero.as_bytes());
        Ok(())
    }

    fn wrapped(&mut self, message: &Message, wire: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
        let base = self.locate_fields(message, wire)?;
        let place = self.places[base];
        self.places.truncate(base);
        self.value_at(message.fields.first().ok_or(DecodeError)?, place, wire, out)
    }

    /// The message inside with its type beside it. A type that the schema does not know can't be printed.
    fn any(&mut self, wire: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
        let (mut url, mut content): (&[u8], &[u8]) = (&[], &[]);
        let mut cursor = Cursor::new(wire);
        while !cursor.is_done() {
            let (number, wire_type) = cursor.tag()?;
            let raw = cursor.value(wire_type)?;
            match number {
                1 => url = raw.bytes()?,
                2 => content = raw.bytes()?,
                _ => {}
            }
        }
        let url = std::str::from_utf8(url).map_err(|_| DecodeError)?;
        let id = url.rsplit('/').next().and_then(|name| self.schema.find(name)).ok_or(DecodeError)?;
        out.extend_from_slice(b"{\"@type\":");
        put_string(out, url);
        let message = self.schema.message(id);
        if message.shape == Shape::Object {
            self.members(message, content, out)?;
        } else {
            out.extend_from_slice(b",\"value\":");
            self.message(id, content, out)?;
        }
        out.push(b'}');
        Ok(())
    }
}

/// The name of a member, and the comma before it.
fn put_key(field: &Field, out: &mut Vec<u8>) {
    if !matches!(out.last(), Some(b'{')) {
        out.push(b',');
    }
    out.extend_from_slice(&field.key);
}

/// Visits each value of a field, in the order of the wire.
fn each<'w>(
    number: u32,
    place: Place,
    wire: &'w [u8],
    mut visit: impl FnMut(WireType, Raw<'w>) -> Result<(), DecodeError>,
) -> Result<(), DecodeError> {
    if place.is_nowhere() {
        return Ok(());
    }
    let mut cursor = Cursor::at(wire, place.first);
    while cursor.offset() <= place.last {
        let (found, wire_type) = cursor.tag()?;
        if found == number {
            visit(wire_type, cursor.value(wire_type)?)?;
        } else {
            cursor.skip(wire_type)?;
        }
    }
    Ok(())
}

/// Seconds and nanoseconds: fields 1 and 2 of `Timestamp` and `Duration`.
fn instant(wire: &[u8]) -> Result<Instant, DecodeError> {
    let mut instant = Instant::default();
    let mut cursor = Cursor::new(wire);
    while !cursor.is_done() {
        let (number, wire_type) = cursor.tag()?;
        match (number, cursor.value(wire_type)?) {
            (1, Raw::Varint(value)) => instant.seconds = value.cast_signed(),
            (2, Raw::Varint(value)) => instant.nanos = low(value).cast_signed(),
            (1 | 2, _) => return Err(DecodeError),
            _ => {}
        }
    }
    Ok(instant)
}

/// Returns the wire type of one element, in a packed field or outside of one.
const fn element_type(kind: Kind) -> WireType {
    super::scalar::wire_type(kind)
}

/// 64 bits don't fit the numbers of JavaScript: the mapping writes them as strings.
fn quoted(out: &mut Vec<u8>, value: impl itoa::Integer) {
    out.push(b'"');
    put_integer(out, value);
    out.push(b'"');
}

/// Truncates a varint to the 32 bits that a field keeps.
#[allow(clippy::cast_possible_truncation, reason = "the wire format says so")]
const fn low(value: u64) -> u32 {
    value as u32
}
