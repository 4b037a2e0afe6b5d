//! The hand-written part: `words.yaml`.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::yaml::{Map, Value};

const WORDS: &str = include_str!("../words.yaml");

/// What the protos can't say.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Words {
    pub(crate) info: Value,
    pub(crate) servers: Value,
    pub(crate) tags: Vec<Tag>,
    /// Names of components, by the full names of enums.
    pub(crate) names: BTreeMap<String, String>,
    /// By the names of RPCs.
    pub(crate) operations: BTreeMap<String, Operation>,
    /// By `Message.field`, or by the field's name.
    pub(crate) fields: BTreeMap<String, Field>,
    /// In the order in which they are shown.
    reasons: Map,
    /// By HTTP status.
    pub(crate) statuses: BTreeMap<u16, StatusWords>,
    /// By HTTP status: what any request can be answered with.
    pub(crate) bare: BTreeMap<u16, Bare>,
    pub(crate) security_schemes: Value,
    pub(crate) headers: Map,
    pub(crate) parameters: Map,
    /// Schemas of what no proto describes.
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
    /// Why it can fail, beside what every operation of its kind can.
    #[serde(default)]
    pub(crate) reasons: Vec<String>,
    #[serde(default)]
    pub(crate) body: BodyWords,
    /// Of other operations, the parameters that are fields of the answer, by the names of the RPCs.
    #[serde(default)]
    pub(crate) links: BTreeMap<String, BTreeMap<String, String>>,
    /// Of the body.
    pub(crate) example: Option<Value>,
}

/// How the body is described.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BodyWords {
    /// The component, unless it is named as its message.
    pub(crate) name: Option<String>,
    /// Whether what is not sent stays as it is: then nothing is required.
    #[serde(default)]
    pub(crate) partial: bool,
}

/// What is to be said of a field beside its type.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Field {
    /// Whether an answer may lack it.
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

/// Why something fails.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Reason {
    /// The name of its google.rpc.Code.
    pub(crate) code: String,
    /// The HTTP status, where the code does not decide it.
    pub(crate) status: Option<u16>,
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
pub(crate) struct StatusWords {
    /// The component.
    pub(crate) name: String,
    pub(crate) title: String,
    #[serde(default)]
    pub(crate) headers: Vec<String>,
}

/// A response without a body that can be relied on.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Bare {
    /// The component.
    pub(crate) name: String,
    pub(crate) description: String,
}

impl Words {
    pub(crate) fn load() -> Result<Self, serde_yaml_ng::Error> {
        // By way of a value: it knows about merging what anchors name.
        serde_yaml_ng::from_value(serde_yaml_ng::from_str(WORDS)?)
    }

    /// Every reason, in the order in which they are shown.
    pub(crate) fn reasons(&self) -> Result<Vec<(String, Reason)>, serde_yaml_ng::Error> {
        let reason = |(name, reason): (&Value, &Value)| {
            Ok((serde_yaml_ng::from_value(name.clone())?, serde_yaml_ng::from_value(reason.clone())?))
        };
        self.reasons.iter().map(reason).collect()
    }

    /// What is said of a field: of this message's one, or of all of this name.
    pub(crate) fn field(&self, message: &str, field: &str) -> Field {
        self.fields.get(&format!("{message}.{field}")).or_else(|| self.fields.get(field)).cloned().unwrap_or_default()
    }
}
