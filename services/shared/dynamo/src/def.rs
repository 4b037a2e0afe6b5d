/// Definition of a table, shared by the program that uses it and the command that creates it.
///
/// Tables are billed on demand. Every key attribute is a string.
#[derive(Debug)]
pub struct TableDef {
    /// The name without the prefix, such as `Users`.
    pub name: &'static str,
    /// The primary key.
    pub key: KeyDef,
    /// The global secondary indexes.
    pub indexes: &'static [IndexDef],
    /// The attribute with an item's expiry, in seconds since 1970. DynamoDB deletes late, up to days: a reader compares
    /// the time itself.
    pub ttl: Option<&'static str>,
}

/// The attributes of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyDef {
    /// The partition key.
    pub partition: &'static str,
    /// The sort key.
    pub sort: Option<&'static str>,
}

impl KeyDef {
    /// The key of a table that holds items of several kinds: `pk` and `sk`.
    pub const PK_SK: Self = Self { partition: "pk", sort: Some("sk") };
    /// The key of a table without order: `pk`.
    pub const PK: Self = Self { partition: "pk", sort: None };

    pub(crate) fn attributes(self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.partition).chain(self.sort)
    }
}

/// A global secondary index. An item without the key attributes of the index is not in it.
#[derive(Debug, PartialEq, Eq)]
pub struct IndexDef {
    /// The name.
    pub name: &'static str,
    /// The key.
    pub key: KeyDef,
    /// The attributes that a Query on the index returns.
    pub projection: Projection,
}

/// The attributes that an index holds beside the keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Projection {
    /// All.
    All,
    /// None.
    KeysOnly,
    /// These.
    Include(&'static [&'static str]),
}
