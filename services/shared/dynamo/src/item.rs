use std::collections::{BTreeMap, HashMap};
use std::fmt;

use aws_sdk_dynamodb::types::AttributeValue;
use kernel::{Error, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::def::{KeyDef, TableDef};

pub(crate) type Attributes = HashMap<String, AttributeValue>;

/// The primary key of an item.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    partition: String,
    sort: Option<String>,
}

impl Key {
    /// A key of a table with a sort key.
    #[must_use]
    pub fn new(partition: impl Into<String>, sort: impl Into<String>) -> Self {
        Self { partition: partition.into(), sort: Some(sort.into()) }
    }

    /// A key of a table without one.
    #[must_use]
    pub fn partition(partition: impl Into<String>) -> Self {
        Self { partition: partition.into(), sort: None }
    }

    /// Returns the sort key; none in a table without one.
    #[must_use]
    pub fn sort(&self) -> Option<&str> {
        self.sort.as_deref()
    }

    pub(crate) fn parts(&self) -> (&str, &str) {
        (&self.partition, self.sort.as_deref().unwrap_or_default())
    }

    /// Returns the key attributes of the table. DynamoDB refuses a key with a missing or an extra part.
    pub(crate) fn attributes(&self, def: &TableDef) -> Attributes {
        let mut attributes = Attributes::new();
        attributes.insert(def.key.partition.to_owned(), AttributeValue::S(self.partition.clone()));
        if let Some(sort) = &self.sort {
            attributes.insert(def.key.sort.unwrap_or("sk").to_owned(), AttributeValue::S(sort.clone()));
        }
        attributes
    }
}

/// Hides the content: keys hold ids and hashes of people, which stay out of logs.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

/// An item as it is stored.
#[derive(Clone, PartialEq)]
pub struct Item(pub(crate) Attributes);

impl Item {
    /// Parses the item as a type of the domain. Attributes that the type does not name are left out.
    ///
    /// # Errors
    /// INTERNAL when it has another shape.
    pub fn parse<T: DeserializeOwned>(self) -> Result<T> {
        // serde's error quotes the value, which may be a person's text: it is not kept.
        serde_dynamo::aws_sdk_dynamodb_1::from_item(self.0)
            .map_err(|_| Error::internal(format!("a stored item is not a {}", std::any::type_name::<T>())))
    }

    /// Returns the value of a text attribute.
    #[must_use]
    pub fn text(&self, attribute: &str) -> Option<&str> {
        self.0.get(attribute).and_then(|value| value.as_s().ok()).map(String::as_str)
    }

    pub(crate) fn of<T: Serialize + ?Sized>(item: &T) -> Result<Self> {
        serde_dynamo::aws_sdk_dynamodb_1::to_item(item)
            .map(Self)
            .map_err(|_| Error::internal(format!("a {} can't be stored as an item", std::any::type_name::<T>())))
    }
}

impl fmt::Debug for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Item")?;
        f.debug_set().entries(self.0.keys()).finish()
    }
}

pub(crate) fn value<T: Serialize + ?Sized>(value: &T) -> Result<AttributeValue> {
    serde_dynamo::aws_sdk_dynamodb_1::to_attribute_value(value)
        .map_err(|_| Error::internal(format!("a {} can't be stored as an attribute", std::any::type_name::<T>())))
}

/// The end of a page: the key of its last item, in the table and in the index.
#[derive(Clone, PartialEq, Eq)]
pub struct Cursor(BTreeMap<String, String>);

impl Cursor {
    /// A cursor of attribute names and values.
    #[must_use]
    pub fn new(attributes: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(attributes.into_iter().collect())
    }

    /// Returns the value of an attribute.
    #[must_use]
    pub fn text(&self, attribute: &str) -> Option<&str> {
        self.0.get(attribute).map(String::as_str)
    }

    pub(crate) fn from_attributes(attributes: Attributes) -> Result<Self> {
        attributes
            .into_iter()
            .map(|(name, value)| {
                if let AttributeValue::S(text) = value {
                    Ok((name, text))
                } else {
                    Err(Error::internal(format!("the key attribute {name} is not a string")))
                }
            })
            .collect::<Result<_>>()
            .map(Self)
    }

    pub(crate) fn into_attributes(self) -> Attributes {
        self.0.into_iter().map(|(name, text)| (name, AttributeValue::S(text))).collect()
    }

    /// Returns true if the cursor has the key attributes of this table and index.
    pub(crate) fn fits(&self, table: KeyDef, index: Option<KeyDef>) -> bool {
        let expected = table.attributes().chain(index.into_iter().flat_map(KeyDef::attributes));
        expected.collect::<std::collections::BTreeSet<_>>().into_iter().eq(self.0.keys().map(String::as_str))
    }

    pub(crate) fn parts(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()])
    }
}

impl fmt::Debug for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cursor(…)")
    }
}
