//! Examples of messages, put together from those of their fields.

use prost_reflect::{EnumDescriptor, FieldDescriptor, MessageDescriptor};

use crate::words::Words;
use crate::yaml::{Map, Value, list, text};

/// A message as an answer shows it.
///
/// # Errors
/// If a field has no example.
pub(crate) fn of_message(words: &Words, message: &MessageDescriptor) -> Result<Value, String> {
    let members = message.fields().map(|field| Ok((text(field.json_name()), of_field(words, &field)?)));
    members.collect::<Result<Map, String>>().map(Value::from)
}

fn of_field(words: &Words, field: &FieldDescriptor) -> Result<Value, String> {
    let message = field.parent_message();
    if let Some(example) = words.field(message.name(), field.name()).example {
        return Ok(example);
    }
    let kind = field.kind();
    let inner = kind.as_message().filter(|inner| !inner.full_name().starts_with("google.protobuf."));
    let inner = inner.ok_or_else(|| format!("words.yaml: {}.{} has no example", message.name(), field.name()))?;
    let one = of_message(words, inner)?;
    Ok(if field.is_list() { list([one]) } else { one })
}

/// The names of an enum that mean something: all but that for "not told".
pub(crate) fn values(kind: &EnumDescriptor) -> Vec<String> {
    kind.values().filter(|value| value.number() != 0).map(|value| value.name().to_owned()).collect()
}
