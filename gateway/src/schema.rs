//! The descriptors, compiled once into the tables that transcoding runs on.

mod compile;

use std::collections::HashMap;

pub(crate) use compile::Compiler;

/// Messages and enums of all routes.
#[derive(Debug, Default)]
pub(crate) struct Schema {
    messages: Vec<Message>,
    enums: Vec<Enum>,
    by_name: HashMap<Box<str>, MessageId>,
}

impl Schema {
    pub(crate) fn message(&self, id: MessageId) -> &Message {
        &self.messages[id.0]
    }

    pub(crate) fn enumeration(&self, id: EnumId) -> &Enum {
        &self.enums[id.0]
    }

    /// A message by its full name.
    pub(crate) fn find(&self, name: &str) -> Option<MessageId> {
        self.by_name.get(name).copied()
    }
}

/// Index of a message in the schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MessageId(usize);

/// Index of an enum in the schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EnumId(usize);

/// A message.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) shape: Shape,
    /// By number, the order in which they are printed.
    pub(crate) fields: Box<[Field]>,
}

impl Message {
    /// The index of the field with this number.
    #[inline]
    pub(crate) fn slot(&self, number: u32) -> Option<usize> {
        // Nearly every message counts from one without a gap.
        let guess = (number as usize).wrapping_sub(1);
        if self.fields.get(guess).is_some_and(|field| field.number == number) {
            return Some(guess);
        }
        self.fields.binary_search_by_key(&number, |field| field.number).ok()
    }

    /// Returns the index of the field with this JSON name or proto name.
    pub(crate) fn named(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|field| *field.json == *name || *field.name == *name)
    }
}

/// JSON form of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// An object of its fields.
    Object,
    /// `google.protobuf.Timestamp`: an RFC 3339 string.
    Timestamp,
    /// `google.protobuf.Duration`: seconds with an `s`.
    Duration,
    /// A wrapper such as `google.protobuf.StringValue`: the value alone.
    Wrapper,
    /// `google.protobuf.Any`: the message inside, with its type beside.
    Any,
}

/// A field.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) number: u32,
    pub(crate) name: Box<str>,
    pub(crate) json: Box<str>,
    /// The JSON name as it is printed: quoted, with its colon.
    pub(crate) key: Box<[u8]>,
    pub(crate) kind: Kind,
    pub(crate) cardinality: Cardinality,
    /// The other members of its oneof.
    pub(crate) oneof_siblings: Box<[usize]>,
}

/// Cardinality and presence of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cardinality {
    /// Once; its absence is its default, so it is always printed.
    Implicit,
    /// Once or not at all.
    Explicit,
    /// Any number of times.
    Repeated,
    /// Any number of times, each an entry with a key and a value.
    Map,
}

/// Type of a field's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Double,
    Float,
    Int32,
    Int64,
    Uint32,
    Uint64,
    Sint32,
    Sint64,
    Fixed32,
    Fixed64,
    Sfixed32,
    Sfixed64,
    Bool,
    String,
    Bytes,
    Enum(EnumId),
    Message(MessageId),
}

impl Kind {
    /// The message that is held, if one is.
    pub(crate) const fn message(self) -> Option<MessageId> {
        if let Self::Message(id) = self { Some(id) } else { None }
    }
}

/// An enum.
#[derive(Debug)]
pub(crate) struct Enum {
    /// By number; the first name of each number, as it is printed: in quotes.
    printed: Box<[(i32, Box<str>)]>,
    /// Every name, in the order of declaration.
    names: Box<[(Box<str>, i32)]>,
}

impl Enum {
    /// The quoted name of a number.
    pub(crate) fn quoted(&self, number: i32) -> Option<&str> {
        self.printed.binary_search_by_key(&number, |(number, _)| *number).ok().map(|at| &*self.printed[at].1)
    }

    /// The number of a name.
    pub(crate) fn number(&self, name: &str) -> Option<i32> {
        self.names.iter().find(|(known, _)| **known == *name).map(|(_, number)| *number)
    }

    /// Every name, in the order of declaration.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(|(name, _)| &**name)
    }
}
