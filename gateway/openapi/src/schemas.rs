//! Messages and enums as JSON Schema.

use std::collections::BTreeMap;
use std::error::Error;

use prost_reflect::{DynamicMessage, EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor, Value as Reflected};

use crate::contract::Contract;
use crate::examples::values;
use crate::overlay::Overlay;
use crate::yaml::{Map, Value, list, map, reference, text};

/// Writer of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// The service: every field is present, except those that the overlay marks as absent.
    Answer,
    /// The caller: REQUIRED fields must be present, and OUTPUT_ONLY ones are left out.
    Request {
        /// True if fields that are not sent stay unchanged: then none is required.
        partial: bool,
    },
}

/// The schemas that the document refers to.
#[derive(Debug)]
pub(crate) struct Schemas<'a> {
    contract: &'a Contract,
    overlay: &'a Overlay,
    components: BTreeMap<String, Value>,
    /// Origin of each component.
    origins: BTreeMap<String, String>,
}

impl<'a> Schemas<'a> {
    pub(crate) fn new(contract: &'a Contract, overlay: &'a Overlay) -> Self {
        let named = |(name, schema): (&Value, &Value)| Some((name.as_str()?.to_owned(), schema.clone()));
        let components: BTreeMap<_, _> = overlay.schemas.iter().filter_map(named).collect();
        let origins = components.keys().map(|name| (name.clone(), String::new())).collect();
        Self { contract, overlay, components, origins }
    }

    pub(crate) fn into_components(self) -> Map {
        self.components.into_iter().map(|(name, schema)| (text(name), schema)).collect()
    }

    /// Returns the name of a message's component. `LogoutResponse` becomes `LogoutResult`: generated code calls the answer of an
    /// operation by its name and `Response`, whatever its schema.
    pub(crate) fn name_of(&self, message: &MessageDescriptor) -> String {
        let own = message.name();
        let named = self.overlay.names.get(message.full_name()).cloned();
        named.or_else(|| Some(format!("{}Result", own.strip_suffix("Response")?))).unwrap_or_else(|| own.to_owned())
    }

    /// Returns a reference to the schema of a message, which is written on first use.
    pub(crate) fn message(
        &mut self,
        name: &str,
        message: &MessageDescriptor,
        side: Side,
        without: &[&str],
    ) -> Result<Value, Box<dyn Error>> {
        let origin = format!("{} {side:?} {without:?}", message.full_name());
        if self.is_new(name, &origin)? {
            let mut properties = Map::new();
            let mut required = Vec::new();
            for field in message.fields().filter(|field| !without.contains(&field.name())) {
                if side != Side::Answer && behaves(&field, "OUTPUT_ONLY") {
                    continue;
                }
                if self.is_required(&field, side) {
                    required.push(text(field.json_name()));
                }
                properties.insert(text(field.json_name()), self.field(&field, side)?);
            }
            let comment = self.contract.markdown(&message.parent_file(), message.path());
            let mut schema = map([("type", text("object")), ("description", text(comment))]);
            if !required.is_empty() {
                schema.insert(text("required"), list(required));
            }
            if !properties.is_empty() {
                schema.insert(text("properties"), properties.into());
            }
            self.components.insert(name.to_owned(), schema.into());
        }
        Ok(reference("schemas", name))
    }

    /// Records the origin of a component; returns whether it is new. Two origins can't share a name.
    fn is_new(&mut self, name: &str, origin: &str) -> Result<bool, String> {
        match self.origins.get(name) {
            Some(known) if known == origin => Ok(false),
            Some(known) => {
                Err(format!("{name} would be of {origin}, and is of {known}: name one of them in overlay.yaml"))
            }
            None => {
                self.origins.insert(name.to_owned(), origin.to_owned());
                Ok(true)
            }
        }
    }

    fn is_required(&self, field: &FieldDescriptor, side: Side) -> bool {
        match side {
            Side::Answer => !self.overlay.field(field.parent_message().name(), field.name()).absent,
            Side::Request { partial } => !partial && behaves(field, "REQUIRED"),
        }
    }

    /// The schema of a field, with its description.
    pub(crate) fn field(&mut self, field: &FieldDescriptor, side: Side) -> Result<Value, Box<dyn Error>> {
        let entry = self.overlay.field(field.parent_message().name(), field.name());
        let mut keywords = entry.keywords;
        if side != Side::Answer {
            keywords.extend(entry.request);
        }
        let comment = self.contract.markdown(&field.parent_file(), field.path());
        let mut schema = self.kind(field, side, keywords.contains_key("enum"))?;
        if field.is_list() {
            schema = map([("type", text("array")), ("items", schema.into())]);
        }
        schema.insert(text("description"), text(comment));
        schema.extend(keywords);
        if let Some(example) = entry.example
            && !schema.contains_key("$ref")
        {
            schema.insert(text("examples"), list([example]));
        }
        Ok(schema.into())
    }

    /// Returns the schema of one value of a field.
    fn kind(&mut self, field: &FieldDescriptor, side: Side, some_values: bool) -> Result<Map, Box<dyn Error>> {
        let plain = |kind: &str| map([("type", text(kind))]);
        let formatted = |kind: &str, format: &str| map([("type", text(kind)), ("format", text(format))]);
        let schema = match field.kind() {
            Kind::Message(message) if message.full_name() == "google.protobuf.Timestamp" => {
                formatted("string", "date-time")
            }
            Kind::Message(message) => {
                return as_map(self.message(&self.name_of(&message), &message, side, &[])?);
            }
            Kind::Enum(_) if some_values => plain("string"),
            Kind::Enum(kind) => return as_map(self.enumeration(&kind)?),
            Kind::String => plain("string"),
            Kind::Bool => plain("boolean"),
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => formatted("integer", "int32"),
            Kind::Double => formatted("number", "double"),
            Kind::Float => formatted("number", "float"),
            // As JSON these would be strings, or bytes in base64: no message that a front shows has one.
            other @ (Kind::Uint32
            | Kind::Fixed32
            | Kind::Int64
            | Kind::Sint64
            | Kind::Sfixed64
            | Kind::Uint64
            | Kind::Fixed64
            | Kind::Bytes) => return Err(format!("{}: no schema for {other:?}", field.full_name()).into()),
        };
        Ok(schema)
    }

    /// Returns a reference to the schema of an enum, which is written on first use.
    pub(crate) fn enumeration(&mut self, kind: &EnumDescriptor) -> Result<Value, Box<dyn Error>> {
        let name = match (self.overlay.names.get(kind.full_name()), kind.parent_message()) {
            (Some(name), _) => name.clone(),
            (None, Some(parent)) => format!("{}{}", parent.name(), kind.name()),
            (None, None) => kind.name().to_owned(),
        };
        if self.is_new(&name, kind.full_name())? {
            let file = kind.parent_file();
            let mut description = self.contract.markdown(&file, kind.path()) + "\n";
            for value in kind.values().filter(|value| value.number() != 0) {
                let comment = self.contract.markdown(&file, value.path());
                description.push_str(&format!("\n- `{}`: {comment}", value.name()));
            }
            let names = list(values(kind).iter().map(text));
            let schema = map([("type", text("string")), ("description", text(description)), ("enum", names)]);
            self.components.insert(name.clone(), schema.into());
        }
        Ok(reference("schemas", &name))
    }
}

/// Returns whether a field has this `google.api.field_behavior`.
pub(crate) fn behaves(field: &FieldDescriptor, behaviour: &str) -> bool {
    let options = field.options();
    let Some(extension) = field.parent_pool().get_extension_by_name("google.api.field_behavior") else { return false };
    let Kind::Enum(kind) = extension.kind() else { return false };
    let number = kind.get_value_by_name(behaviour).map(|value| value.number());
    has(&options, &extension, number)
}

fn has(options: &DynamicMessage, extension: &prost_reflect::ExtensionDescriptor, number: Option<i32>) -> bool {
    let behaviours = options.get_extension(extension);
    behaviours.as_list().is_some_and(|list| list.iter().map(Reflected::as_enum_number).any(|value| value == number))
}

fn as_map(value: Value) -> Result<Map, Box<dyn Error>> {
    if let Value::Mapping(map) = value { Ok(map) } else { Err("a schema is a mapping".into()) }
}
