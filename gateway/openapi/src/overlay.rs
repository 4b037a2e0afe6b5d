//! Reads the hand-written part of the document: `overlay.yaml`.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::yaml::{Map, Value};

const OVERLAY: &str = include_str!("../overlay.yaml");

/// Parts of the document that the protos can't express.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Overlay {
    pub(crate) info: Map,
    pub(crate) servers: Value,
    pub(crate) tags: Vec<Tag>,
    /// Names of components, by the full names of messages and enums.
    pub(crate) names: BTreeMap<String, String>,
    /// By the names of RPCs.
    pub(crate) operations: BTreeMap<String, Operation>,
    /// By `Message.field`, or by the field's name.
    pub(crate) fields: BTreeMap<String, Field>,
    /// In the order in which they are shown.
    reasons: Map,
    /// By HTTP status.
    pub(crate) statuses: BTreeMap<u16, StatusOverlay>,
    pub(crate) security_schemes: Value,
    pub(crate) headers: Map,
    pub(crate) parameters: Map,
    /// Schemas that no proto describes.
    pub(crate) schemas: Map,
    /// Operations that are no RPCs.
    pub(crate) paths: Map,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tag {
    pub(crate) name: String,
    /// The service whose operations have it.
    pub(crate) service: Option<String>,
    pub(crate) description: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Operation {
    /// A line in the imperative.
    pub(crate) summary: String,
    /// Reasons of its errors, besides those of every operation of its kind.
    #[serde(default)]
    pub(crate) reasons: Vec<String>,
    #[serde(default)]
    pub(crate) body: BodyOverlay,
    /// Of other operations, the parameters that are fields of the answer, by the names of the RPCs.
    #[serde(default)]
    pub(crate) links: BTreeMap<String, BTreeMap<String, String>>,
    /// Of the body.
    pub(crate) example: Option<Value>,
    /// Examples of the answer by name, instead of the one that is made of the fields' examples.
    #[serde(default)]
    pub(crate) answers: Map,
    /// Of a stream of server-sent events.
    pub(crate) events: Option<Events>,
}

/// Description of server-sent events.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Events {
    /// Name of the message that is the data of each event.
    pub(crate) message: String,
    /// Its field that is the id of the event, as JSON names it.
    pub(crate) id: String,
}

/// Description of a request's body.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BodyOverlay {
    /// The component, unless it is named as its message.
    pub(crate) name: Option<String>,
    /// True if fields that are not sent stay unchanged: then none is required.
    #[serde(default)]
    pub(crate) partial: bool,
}

/// Description of a field besides its type.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Field {
    /// True if an answer may lack it.
    #[serde(default)]
    pub(crate) absent: bool,
    pub(crate) example: Option<Value>,
    /// Keywords for requests only.
    #[serde(default)]
    pub(crate) request: Map,
    /// Keywords for requests and answers.
    #[serde(flatten)]
    pub(crate) keywords: Map,
}

/// Reason of an error.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Reason {
    /// The name of its google.rpc.Code.
    pub(crate) code: String,
    /// The HTTP statuses, where the code does not decide them.
    #[serde(default)]
    pub(crate) statuses: Vec<u16>,
    pub(crate) says: String,
    /// Of the example.
    pub(crate) message: String,
    /// Of the example: google.rpc.BadRequest.FieldViolation.
    #[serde(default)]
    pub(crate) violations: Vec<Value>,
    /// Of the example: seconds.
    pub(crate) retry: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StatusOverlay {
    /// The component.
    pub(crate) name: String,
    pub(crate) title: String,
    #[serde(default)]
    pub(crate) headers: Vec<String>,
}

impl Overlay {
    pub(crate) fn load() -> Result<Self, serde_yaml_ng::Error> {
        // Through a `Value`, which merges what anchors name.
        serde_yaml_ng::from_value(serde_yaml_ng::from_str(OVERLAY)?)
    }

    /// Every reason, in the order in which they are shown.
    pub(crate) fn reasons(&self) -> Result<Vec<(String, Reason)>, serde_yaml_ng::Error> {
        let reason = |(name, reason): (&Value, &Value)| {
            Ok((serde_yaml_ng::from_value(name.clone())?, serde_yaml_ng::from_value(reason.clone())?))
        };
        self.reasons.iter().map(reason).collect()
    }

    /// Returns the description of a field: of this message's field, or else of all fields of this name.
    pub(crate) fn field(&self, message: &str, field: &str) -> Field {
        self.fields.get(&format!("{message}.{field}")).or_else(|| self.fields.get(field)).cloned().unwrap_or_default()
    }
}
