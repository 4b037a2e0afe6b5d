//! Transcodes JSON to the wire format. Values of the wrong type are recorded and skipped, so that every bad field is reported
//! at once; only malformed JSON ends the parsing. The output is unusable once a bad field is recorded.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::scalar::{put_text, wire_type};
use kernel::{FieldError, FieldReason};

use crate::json::{Malformed, Reader, Token};
use crate::schema::{Cardinality, EnumId, Field, Kind, MessageId, Schema, Shape};
use crate::wire::{WireType, close_length, put_tag, put_varint};

/// Maximum bad fields of a body, or of a query, in an error; more of them are no honest mistake.
pub(crate) const MAX_NAMED: usize = 100;

/// Description of a field of a oneof that has another one.
pub(crate) const EXCLUDED: &str = "excludes another field that is set as well";

/// A field with an invalid value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BadField {
    /// The path to it as the caller writes it, such as `inners[2].text`.
    pub(crate) path: String,
    /// Fault of the value.
    pub(crate) error: FieldError,
}

/// All fields with an invalid value.
pub(crate) type BadFields = Vec<BadField>;

/// Appends the fields of a message that a JSON object names.
pub(crate) fn parse_message(
    schema: &Schema,
    id: MessageId,
    json: &str,
    out: &mut Vec<u8>,
    bad: &mut BadFields,
) -> Result<(), Malformed> {
    let mut parser = Parser { schema, json: Reader::new(json), out, path: Vec::new(), bad };
    parser.message_content(id)?;
    parser.json.end()
}

/// Appends a JSON value as one field, with its tag.
pub(crate) fn parse_field(
    schema: &Schema,
    field: &Field,
    json: &str,
    out: &mut Vec<u8>,
    bad: &mut BadFields,
) -> Result<(), Malformed> {
    let mut parser = Parser { schema, json: Reader::new(json), out, path: Vec::new(), bad };
    parser.field(field)?;
    parser.json.end()
}

/// One step of the path to a field.
enum Step<'s> {
    Member(&'s str),
    Item(usize),
    Key(String),
}

struct Parser<'s, 'a, 'o> {
    schema: &'s Schema,
    json: Reader<'a>,
    out: &'o mut Vec<u8>,
    path: Vec<Step<'s>>,
    bad: &'o mut BadFields,
}

impl<'s> Parser<'s, '_, '_> {
    /// The members of an object, as fields.
    fn message_content(&mut self, id: MessageId) -> Result<(), Malformed> {
        if self.json.peek()? != Token::Object {
            return self.wrong(if self.path.is_empty() { "must be a JSON object" } else { "must be an object" });
        }
        self.json.enter()?;
        let fields = &self.schema.message(id).fields;
        let mut chosen = Vec::new();
        let mut first = true;
        while let Some(name) = self.json.next_key(first)? {
            first = false;
            let Some(slot) = self.schema.message(id).named(&name) else {
                self.json.skip()?;
                continue;
            };
            let field = &fields[slot];
            self.path.push(Step::Member(&field.json));
            if self.json.peek()? == Token::Null {
                self.json.literal("null")?;
            } else if field.oneof_siblings.iter().any(|sibling| chosen.contains(sibling)) {
                self.refuse(FieldError::new(FieldReason::NotAllowed, EXCLUDED))?;
            } else {
                if !field.oneof_siblings.is_empty() && !chosen.contains(&slot) {
                    chosen.push(slot);
                }
                self.field(field)?;
            }
            self.path.pop();
        }
        Ok(())
    }

    /// A field's value or values, with tags.
    fn field(&mut self, field: &'s Field) -> Result<(), Malformed> {
        match field.cardinality {
            Cardinality::Implicit | Cardinality::Explicit => self.tagged(field),
            Cardinality::Repeated => self.items(field),
            Cardinality::Map => self.entries(field),
        }
    }

    fn items(&mut self, field: &'s Field) -> Result<(), Malformed> {
        if self.json.peek()? != Token::Array {
            return self.wrong("must be an array");
        }
        self.json.enter()?;
        let mut count = 0;
        while self.json.next_item(count == 0)? {
            self.path.push(Step::Item(count));
            self.tagged(field)?;
            self.path.pop();
            count += 1;
        }
        Ok(())
    }

    fn entries(&mut self, field: &'s Field) -> Result<(), Malformed> {
        if self.json.peek()? != Token::Object {
            return self.wrong("must be an object");
        }
        self.json.enter()?;
        let Kind::Message(entry) = field.kind else { return Ok(()) };
        let [key, value] = &*self.schema.message(entry).fields else { return Ok(()) };
        let mut first = true;
        while let Some(name) = self.json.next_key(first)? {
            first = false;
            put_tag(self.out, field.number, WireType::Bytes);
            let start = self.out.len();
            put_tag(self.out, key.number, wire_type(key.kind));
            let known = put_text(self.schema, key.kind, &name, self.out);
            self.path.push(Step::Key(name.into_owned()));
            if let Err(error) = known {
                self.note(error);
            }
            self.tagged(value)?;
            self.path.pop();
            close_length(self.out, start);
        }
        Ok(())
    }

    /// One value with its tag.
    fn tagged(&mut self, field: &Field) -> Result<(), Malformed> {
        put_tag(self.out, field.number, wire_type(field.kind));
        self.value(field.kind)
    }

    fn value(&mut self, kind: Kind) -> Result<(), Malformed> {
        let Some(id) = kind.message() else { return self.scalar(kind, kind) };
        match self.schema.message(id).shape {
            Shape::Object => {
                let start = self.out.len();
                self.message_content(id)?;
                close_length(self.out, start);
                Ok(())
            }
            Shape::Wrapper => {
                let inner = self.schema.message(id).fields.first().map(|field| field.kind);
                self.scalar(kind, inner.unwrap_or(kind))
            }
            Shape::Timestamp | Shape::Duration | Shape::Any => self.scalar(kind, Kind::String),
        }
    }

    /// Reads a value of one token; `looks` is the kind that decides which tokens it may be.
    fn scalar(&mut self, kind: Kind, looks: Kind) -> Result<(), Malformed> {
        let token = self.json.peek()?;
        let text = match (token, looks) {
            (Token::String, Kind::Bool) => return self.wrong("must be true or false"),
            (Token::String, _) => self.json.string()?,
            (Token::Number, Kind::Enum(id)) => return self.enum_number(id),
            (Token::Number, Kind::String | Kind::Bytes | Kind::Bool) => return self.wrong(must(looks)),
            (Token::Number, _) => Cow::Borrowed(self.json.number()?),
            (Token::True, Kind::Bool) => self.json.literal("true").map(|()| Cow::Borrowed("true"))?,
            (Token::False, Kind::Bool) => self.json.literal("false").map(|()| Cow::Borrowed("false"))?,
            _ => return self.wrong(must(looks)),
        };
        if let Err(error) = put_text(self.schema, kind, &text, self.out) {
            self.note(error);
        }
        Ok(())
    }

    /// Enums are open: a number that no name has is kept.
    fn enum_number(&mut self, id: EnumId) -> Result<(), Malformed> {
        let text = self.json.number()?;
        if let Ok(number) = text.parse::<i32>() {
            put_varint(self.out, i64::from(number).cast_unsigned());
        } else if let Err(error) = put_text(self.schema, Kind::Enum(id), text, self.out) {
            self.note(error);
        }
        Ok(())
    }

    /// Records that the next value is of the wrong type, and skips it.
    fn wrong(&mut self, must: &'static str) -> Result<(), Malformed> {
        self.refuse(FieldError::new(FieldReason::Malformed, must))
    }

    /// Records the error of the next value, and skips it.
    fn refuse(&mut self, error: FieldError) -> Result<(), Malformed> {
        self.note(error);
        self.json.skip()
    }

    fn note(&mut self, error: FieldError) {
        if self.bad.len() == MAX_NAMED {
            return;
        }
        let mut path = String::new();
        for step in &self.path {
            // Writing to memory can't fail.
            let _ = match step {
                Step::Member(name) if path.is_empty() => write!(path, "{name}"),
                Step::Member(name) => write!(path, ".{name}"),
                Step::Item(index) => write!(path, "[{index}]"),
                Step::Key(key) => write!(path, "[\"{}\"]", key.escape_debug()),
            };
        }
        self.bad.push(BadField { path, error });
    }
}

/// Returns the requirement that a value with the wrong token fails.
const fn must(kind: Kind) -> &'static str {
    match kind {
        Kind::Double | Kind::Float => "must be a number",
        Kind::Int32
        | Kind::Int64
        | Kind::Uint32
        | Kind::Uint64
        | Kind::Sint32
        | Kind::Sint64
        | Kind::Fixed32
        | Kind::Fixed64
        | Kind::Sfixed32
        | Kind::Sfixed64 => "must be a whole number",
        Kind::Bool => "must be true or false",
        Kind::String | Kind::Bytes => "must be a string",
        Kind::Enum(_) => "must be the name of a value",
        Kind::Message(_) => "must be an object",
    }
}
