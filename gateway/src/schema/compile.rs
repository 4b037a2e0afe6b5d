//! Compiles descriptors into the tables of a schema.

use std::collections::HashMap;

use prost_reflect::{EnumDescriptor, FieldDescriptor, Kind as Described, MessageDescriptor};

use super::{Cardinality, Enum, EnumId, Field, Kind, Message, MessageId, Schema, Shape};

/// Compiles messages, each with all that it holds.
#[derive(Debug, Default)]
pub(crate) struct Compiler {
    schema: Schema,
    enums: HashMap<String, EnumId>,
}

/// A message that the fronts can't carry as JSON.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unsupported {
    #[error("{0} has no transcoding here: describe its fields in a message of your own")]
    WellKnown(String),
    #[error("{0} is a group or an extensible message of proto2")]
    Proto2(String),
    #[error("{0} can't come in a request: it holds {1}")]
    Request(String, &'static str),
}

impl Compiler {
    /// The tables so far.
    pub(crate) fn finish(self) -> Schema {
        self.schema
    }

    /// Compiles a message that is printed.
    pub(crate) fn response(&mut self, message: &MessageDescriptor) -> Result<MessageId, Unsupported> {
        self.message(message)
    }

    /// Compiles a message that is also read from JSON.
    pub(crate) fn request(&mut self, message: &MessageDescriptor) -> Result<MessageId, Unsupported> {
        refuse_any(message, &mut Vec::new())?;
        self.message(message)
    }

    fn message(&mut self, message: &MessageDescriptor) -> Result<MessageId, Unsupported> {
        if let Some(id) = self.schema.by_name.get(message.full_name()) {
            return Ok(*id);
        }
        let shape = shape(message)?;
        let id = MessageId(self.schema.messages.len());
        // Entered before its fields: a message may hold itself.
        self.schema.messages.push(Message { shape, fields: Box::default() });
        self.schema.by_name.insert(message.full_name().into(), id);

        let mut described: Vec<_> = message.fields().collect();
        described.sort_by_key(FieldDescriptor::number);
        let fields = described.iter().map(|field| self.field(field, &described)).collect::<Result<_, _>>()?;
        self.schema.messages[id.0].fields = fields;
        Ok(id)
    }

    fn field(&mut self, field: &FieldDescriptor, all: &[FieldDescriptor]) -> Result<Field, Unsupported> {
        if field.is_group() {
            return Err(Unsupported::Proto2(field.full_name().to_owned()));
        }
        let cardinality = if field.is_map() {
            Cardinality::Map
        } else if field.is_list() {
            Cardinality::Repeated
        } else if field.supports_presence() {
            Cardinality::Explicit
        } else {
            Cardinality::Implicit
        };
        let oneof_siblings = field.containing_oneof().map_or_else(Box::default, |oneof| {
            let same = |other: &FieldDescriptor| other != field && other.containing_oneof().as_ref() == Some(&oneof);
            all.iter().enumerate().filter(|(_, other)| same(other)).map(|(slot, _)| slot).collect()
        });
        Ok(Field {
            number: field.number(),
            name: field.name().into(),
            json: field.json_name().into(),
            key: format!("\"{}\":", field.json_name()).into_bytes().into(),
            kind: self.kind(&field.kind())?,
            cardinality,
            oneof_siblings,
        })
    }

    fn kind(&mut self, kind: &Described) -> Result<Kind, Unsupported> {
        Ok(match kind {
            Described::Double => Kind::Double,
            Described::Float => Kind::Float,
            Described::Int32 => Kind::Int32,
            Described::Int64 => Kind::Int64,
            Described::Uint32 => Kind::Uint32,
            Described::Uint64 => Kind::Uint64,
            Described::Sint32 => Kind::Sint32,
            Described::Sint64 => Kind::Sint64,
            Described::Fixed32 => Kind::Fixed32,
            Described::Fixed64 => Kind::Fixed64,
            Described::Sfixed32 => Kind::Sfixed32,
            Described::Sfixed64 => Kind::Sfixed64,
            Described::Bool => Kind::Bool,
            Described::String => Kind::String,
            Described::Bytes => Kind::Bytes,
            Described::Enum(kind) => Kind::Enum(self.enumeration(kind)),
            Described::Message(message) => Kind::Message(self.message(message)?),
        })
    }

    fn enumeration(&mut self, described: &EnumDescriptor) -> EnumId {
        if let Some(id) = self.enums.get(described.full_name()) {
            return *id;
        }
        let id = EnumId(self.schema.enums.len());
        let names: Box<[_]> = described.values().map(|value| (Box::from(value.name()), value.number())).collect();
        let mut printed: Vec<_> =
            names.iter().map(|(name, number)| (*number, format!("\"{name}\"").into_boxed_str())).collect();
        // Stable, so that of several names of one number the first stays.
        printed.sort_by_key(|(number, _)| *number);
        printed.dedup_by_key(|(number, _)| *number);
        self.schema.enums.push(Enum { printed: printed.into(), names });
        self.enums.insert(described.full_name().to_owned(), id);
        id
    }
}

fn shape(message: &MessageDescriptor) -> Result<Shape, Unsupported> {
    let Some(name) = message.full_name().strip_prefix("google.protobuf.") else {
        return Ok(Shape::Object);
    };
    match name {
        "Timestamp" => Ok(Shape::Timestamp),
        "Duration" => Ok(Shape::Duration),
        "Any" => Ok(Shape::Any),
        "Empty" => Ok(Shape::Object),
        "DoubleValue" | "FloatValue" | "Int64Value" | "UInt64Value" | "Int32Value" | "UInt32Value" | "BoolValue"
        | "StringValue" | "BytesValue" => Ok(Shape::Wrapper),
        _ => Err(Unsupported::WellKnown(message.full_name().to_owned())),
    }
}

/// Rejects a request that holds an `Any`: its type decides how the rest is read, and no request needs that.
fn refuse_any(message: &MessageDescriptor, seen: &mut Vec<String>) -> Result<(), Unsupported> {
    if message.full_name() == "google.protobuf.Any" {
        return Err(Unsupported::Request(seen.first().cloned().unwrap_or_default(), "google.protobuf.Any"));
    }
    if seen.iter().any(|name| name == message.full_name()) {
        return Ok(());
    }
    seen.push(message.full_name().to_owned());
    message
        .fields()
        .filter_map(|field| field.kind().as_message().cloned())
        .try_for_each(|inner| refuse_any(&inner, seen))
}
