//! Builds examples of messages from those of their fields.

use prost_reflect::{EnumDescriptor, FieldDescriptor, MessageDescriptor};

use crate::overlay::Overlay;
use crate::yaml::{Map, Value, list, text};

/// Returns the example of a message in an answer.
///
/// # Errors
/// If a field has no example.
pub(crate) fn of_message(overlay: &Overlay, message: &MessageDescriptor) -> Result<Value, String> {
    let members = message.fields().map(|field| Ok((text(field.json_name()), of_field(overlay, &field)?)));
    members.collect::<Result<Map, String>>().map(Value::from)
}

fn of_field(overlay: &Overlay, field: &FieldDescriptor) -> Result<Value, String> {
    let message = field.parent_message();
    if let Some(example) = overlay.field(message.name(), field.name()).example {
        return Ok(example);
    }
    let kind = field.kind();
    let inner = kind.as_message().filter(|inner| !inner.full_name().starts_with("google.protobuf."));
    let inner = inner.ok_or_else(|| format!("overlay.yaml: {}.{} has no example", message.name(), field.name()))?;
    let one = of_message(overlay, inner)?;
    Ok(if field.is_list() { list([one]) } else { one })
}

/// Returns the names of an enum's values without the unspecified one, number 0.
pub(crate) fn values(kind: &EnumDescriptor) -> Vec<String> {
    kind.values().filter(|value| value.number() != 0).map(|value| value.name().to_owned()).collect()
}
