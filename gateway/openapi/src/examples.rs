//! Examples of messages, put together from those of their fields.

use prost_reflect::{EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor};

use crate::words::Words;
use crate::yaml::{Map, Value, list, text};

/// A time for fields that have no better one.
const TIME: &str = "2026-03-02T18:30:00Z";

/// A message as an answer shows it.
pub(crate) fn of_message(words: &Words, message: &MessageDescriptor) -> Value {
    if message.full_name() == "google.protobuf.Timestamp" {
        return text(TIME);
    }
    let members = message.fields().map(|field| (text(field.json_name()), of_field(words, &field)));
    members.collect::<Map>().into()
}

fn of_field(words: &Words, field: &FieldDescriptor) -> Value {
    if let Some(example) = words.field(field.parent_message().name(), field.name()).example {
        return example;
    }
    let one = match field.kind() {
        Kind::Message(message) => of_message(words, &message),
        Kind::Enum(kind) => values(&kind).first().map_or(Value::Null, text),
        Kind::String | Kind::Bytes => text(""),
        Kind::Bool => true.into(),
        _ => 0.into(),
    };
    if field.is_list() { list([one]) } else { one }
}

/// The names of an enum that mean something: all but that for "not told".
pub(crate) fn values(kind: &EnumDescriptor) -> Vec<String> {
    kind.values().filter(|value| value.number() != 0).map(|value| value.name().to_owned()).collect()
}
