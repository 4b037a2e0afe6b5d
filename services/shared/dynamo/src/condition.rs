use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use kernel::Result;
use serde::Serialize;

use crate::def::KeyDef;
use crate::item::{Attributes, value};

/// A condition on the stored item for a write to happen.
///
/// A comparison with an attribute that is not there does not hold, whatever the comparison.
#[derive(Clone)]
pub struct Condition(Node);

#[derive(Clone)]
enum Node {
    ItemExists,
    ItemAbsent,
    Has(&'static str),
    Lacks(&'static str),
    Compare(&'static str, &'static str, Option<AttributeValue>),
    BeginsWith(&'static str, String),
    All(Vec<Condition>),
    Any(Vec<Condition>),
}

impl Condition {
    /// The item is there.
    #[must_use]
    pub const fn exists() -> Self {
        Self(Node::ItemExists)
    }

    /// The item is not there.
    #[must_use]
    pub const fn absent() -> Self {
        Self(Node::ItemAbsent)
    }

    /// The item has the attribute.
    #[must_use]
    pub const fn has(attribute: &'static str) -> Self {
        Self(Node::Has(attribute))
    }

    /// The item has no such attribute, or there is no item.
    #[must_use]
    pub const fn lacks(attribute: &'static str) -> Self {
        Self(Node::Lacks(attribute))
    }

    /// The attribute equals the value.
    #[must_use]
    pub fn eq(attribute: &'static str, value: impl Serialize) -> Self {
        Self::compare(attribute, "=", value)
    }

    /// The attribute is there and differs from the value, or is not there.
    #[must_use]
    pub fn ne(attribute: &'static str, value: impl Serialize) -> Self {
        Self::compare(attribute, "<>", value)
    }

    /// The attribute is less than the value.
    #[must_use]
    pub fn lt(attribute: &'static str, value: impl Serialize) -> Self {
        Self::compare(attribute, "<", value)
    }

    /// The attribute is less than the value or equals it.
    #[must_use]
    pub fn le(attribute: &'static str, value: impl Serialize) -> Self {
        Self::compare(attribute, "<=", value)
    }

    /// The attribute is greater than the value.
    #[must_use]
    pub fn gt(attribute: &'static str, value: impl Serialize) -> Self {
        Self::compare(attribute, ">", value)
    }

    /// The attribute is greater than the value or equals it.
    #[must_use]
    pub fn ge(attribute: &'static str, value: impl Serialize) -> Self {
        Self::compare(attribute, ">=", value)
    }

    /// The text attribute begins so.
    #[must_use]
    pub fn begins_with(attribute: &'static str, prefix: impl Into<String>) -> Self {
        Self(Node::BeginsWith(attribute, prefix.into()))
    }

    /// Both hold.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(Node::All(vec![self, other]))
    }

    /// One of them holds, or both.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self(Node::Any(vec![self, other]))
    }

    fn compare(attribute: &'static str, operator: &'static str, operand: impl Serialize) -> Self {
        Self(Node::Compare(attribute, operator, value(&operand).ok()))
    }

    pub(crate) fn render(self, key: KeyDef, placeholders: &mut Placeholders) -> Result<String> {
        Ok(match self.0 {
            Node::ItemExists => format!("attribute_exists({})", placeholders.name(key.partition)),
            Node::ItemAbsent => format!("attribute_not_exists({})", placeholders.name(key.partition)),
            Node::Has(attribute) => format!("attribute_exists({})", placeholders.name(attribute)),
            Node::Lacks(attribute) => format!("attribute_not_exists({})", placeholders.name(attribute)),
            Node::Compare(attribute, operator, operand) => {
                let operand = operand.ok_or_else(|| {
                    kernel::Error::internal(format!("what {attribute} is compared with can't be stored"))
                })?;
                format!("{} {operator} {}", placeholders.name(attribute), placeholders.value(operand))
            }
            Node::BeginsWith(attribute, prefix) => {
                format!(
                    "begins_with({}, {})",
                    placeholders.name(attribute),
                    placeholders.value(AttributeValue::S(prefix))
                )
            }
            Node::All(conditions) => join(conditions, " AND ", key, placeholders)?,
            Node::Any(conditions) => join(conditions, " OR ", key, placeholders)?,
        })
    }
}

fn join(conditions: Vec<Condition>, word: &str, key: KeyDef, placeholders: &mut Placeholders) -> Result<String> {
    let rendered: Vec<String> = conditions.into_iter().map(|c| c.render(key, placeholders)).collect::<Result<_>>()?;
    Ok(format!("({})", rendered.join(word)))
}

/// The placeholders for the names and values of an expression. A name may be a reserved word, so none is written out.
#[derive(Default)]
pub(crate) struct Placeholders {
    names: HashMap<String, String>,
    values: Attributes,
}

impl Placeholders {
    pub(crate) fn name(&mut self, attribute: &str) -> String {
        if let Some((placeholder, _)) = self.names.iter().find(|(_, name)| *name == attribute) {
            return placeholder.clone();
        }
        let placeholder = format!("#n{}", self.names.len());
        self.names.insert(placeholder.clone(), attribute.to_owned());
        placeholder
    }

    pub(crate) fn value(&mut self, value: AttributeValue) -> String {
        let placeholder = format!(":v{}", self.values.len());
        self.values.insert(placeholder.clone(), value);
        placeholder
    }

    /// Returns the maps of names and values; none instead of an empty one, which DynamoDB refuses.
    pub(crate) fn split(self) -> (Option<HashMap<String, String>>, Option<Attributes>) {
        let Self { names, values } = self;
        ((!names.is_empty()).then_some(names), (!values.is_empty()).then_some(values))
    }
}
