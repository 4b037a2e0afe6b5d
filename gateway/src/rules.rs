//! Rules of the fields of requests, as the OpenAPI document has them: with them the front names every bad field of a request
//! that it can't pass on anyway. A request that has the form of its message goes to the service, which holds the rules.

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use kernel::{Email, FieldError, FieldReason, OffsetDateTime, Pincode, UserId, UtcDateTime};
use unicode_normalization::UnicodeNormalization as _;

use crate::json::{Malformed, Reader, Token, is_number};
use crate::percent::decode_parameter;
use crate::schema::{MessageId, Schema};
use crate::transcode::{BadField, BadFields};

/// Rules of one operation.
#[derive(Debug)]
pub(crate) struct Operation {
    method: &'static str,
    /// The path with `{}` for each variable.
    path: &'static str,
    /// Of the fields of the body.
    body: &'static [Rule],
    /// Of the parameters of the query.
    query: &'static [Rule],
}

/// Rule of a field.
#[derive(Debug)]
struct Rule {
    /// JSON name of the field.
    name: &'static str,
    required: bool,
    takes: Takes,
}

/// Values that a field takes.
#[derive(Debug)]
enum Takes {
    /// Texts of at most so many characters, counted as they are written.
    Text {
        most: Option<usize>,
        /// True if one of them must show something.
        visible: bool,
    },
    /// Texts of one line with at most so many characters, counted in the form in which services keep them.
    Line {
        most: usize,
        /// True if one of them must show something.
        visible: bool,
    },
    /// Passwords of so many characters, counted in the form in which they are hashed (NFKC).
    Password {
        least: usize,
        most: Option<usize>,
    },
    Pincode,
    Email,
    Id,
    /// Date-times of RFC 3339.
    DateTime,
    /// `HH:MM`.
    TimeOfDay,
    /// Whole numbers within these bounds.
    Whole {
        least: i64,
        most: i64,
    },
    Bool,
    /// Names of an enum.
    OneOf(&'static [&'static str]),
    /// Any number of values.
    List,
}

/// Value that a request gives to a field.
#[derive(Debug, Clone, PartialEq)]
enum Given<'a> {
    /// None, or null.
    Nothing,
    /// A JSON string.
    Text(Cow<'a, str>),
    /// A JSON number.
    Number(Cow<'a, str>),
    /// The text of a parameter, which may stand for a value of any type. An empty one counts as none, but for a number.
    Parameter(Cow<'a, str>),
    /// Another JSON value.
    Other,
}

/// A member of a body, or a parameter of a query.
#[derive(Debug, Clone)]
struct Member<'s, 'a> {
    /// The field in errors.
    path: Cow<'s, str>,
    value: Given<'a>,
}

static OPERATIONS: &[Operation] = include!(concat!(env!("OUT_DIR"), "/rules.rs"));

/// Returns the rules of a route; none if the document has no field of its requests.
pub(crate) fn of(method: &str, template: &str) -> Option<&'static Operation> {
    let is_same = |path: &str| {
        let (ours, theirs) = (path.split('/'), template.split('/'));
        ours.clone().count() == theirs.clone().count()
            && ours.zip(theirs).all(|(our, their)| our == their || our == "{}" && their.starts_with('{'))
    };
    OPERATIONS.iter().find(|operation| operation.method == method && is_same(operation.path))
}

impl Operation {
    /// Adds the fields of a body that break their rules to those that don't have the form of their type. An absent body has
    /// no field.
    pub(crate) fn judge_body(&self, schema: &Schema, message: MessageId, body: &str, bad: BadFields) -> BadFields {
        // A body that is no object, or no JSON, has no fields.
        if bad.iter().any(|field| field.path.is_empty()) {
            return bad;
        }
        let given = members(self.body, schema, message, body);
        judge(self.body, &given.unwrap_or_else(|_| vec![None; self.body.len()]), bad)
    }

    /// Adds the parameters of a query that break their rules to those that don't have the form of their type.
    pub(crate) fn judge_query(&self, schema: &Schema, message: MessageId, query: &str, bad: BadFields) -> BadFields {
        let mut given = vec![None; self.query.len()];
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            if let (Ok(name), Ok(value)) = (decode_parameter(name), decode_parameter(value))
                && let Some(slot) = schema.message(message).named(&name)
            {
                let field = &schema.message(message).fields[slot];
                let member = Member { path: name.into_owned().into(), value: Given::Parameter(value) };
                keep(self.query, &field.json, member, &mut given);
            }
        }
        judge(self.query, &given, bad)
    }
}

/// Returns the last member of a body for each rule.
fn members<'s, 'a>(
    rules: &[Rule],
    schema: &'s Schema,
    message: MessageId,
    body: &'a str,
) -> Result<Vec<Option<Member<'s, 'a>>>, Malformed> {
    let mut json = Reader::new(body);
    let (mut given, mut first) = (vec![None; rules.len()], true);
    json.peek()?;
    json.enter()?;
    while let Some(name) = json.next_key(first)? {
        first = false;
        let value = match json.peek()? {
            Token::String => Given::Text(json.string()?),
            Token::Number => Given::Number(json.number()?.into()),
            Token::Null => json.skip().map(|()| Given::Nothing)?,
            Token::Object | Token::Array | Token::True | Token::False => json.skip().map(|()| Given::Other)?,
        };
        if let Some(slot) = schema.message(message).named(&name) {
            let field = &schema.message(message).fields[slot];
            keep(rules, &field.json, Member { path: Cow::Borrowed(&field.json), value }, &mut given);
        }
    }
    Ok(given)
}

/// Puts a member in the place of its field's rule, if it has one: of members with one name the last counts.
fn keep<'s, 'a>(rules: &[Rule], field: &str, member: Member<'s, 'a>, given: &mut [Option<Member<'s, 'a>>]) {
    if let Some((_, place)) = rules.iter().zip(given).find(|(rule, _)| rule.name == field) {
        *place = Some(member);
    }
}

/// Returns the bad fields in the order of the rules, and then those without a rule. Each rule has its member, if there is
/// one.
fn judge(rules: &[Rule], given: &[Option<Member<'_, '_>>], mut bad: BadFields) -> BadFields {
    let mut judged = BadFields::new();
    for (rule, member) in rules.iter().zip(given) {
        let (path, value) =
            member.as_ref().map_or((rule.name, &Given::Nothing), |member| (&*member.path, &member.value));
        let (theirs, others): (BadFields, _) = bad.into_iter().partition(|field| is_in(&field.path, path));
        bad = others;
        match rule.error(value) {
            Some(error) if theirs.is_empty() || rule.takes.has_bounds() => {
                judged.push(BadField { path: path.to_owned(), error });
            }
            Some(_) | None => judged.extend(theirs),
        }
    }
    judged.extend(bad);
    judged
}

/// Returns whether a path leads to a field or into it.
fn is_in(path: &str, field: &str) -> bool {
    path.strip_prefix(field).is_some_and(|rest| !rest.starts_with(|next: char| next.is_alphanumeric()))
}

impl Rule {
    fn error(&self, given: &Given<'_>) -> Option<FieldError> {
        match given {
            Given::Nothing => self.required.then(|| self.takes.missing()),
            Given::Parameter(text) if text.is_empty() && !matches!(self.takes, Takes::Whole { .. }) => {
                self.error(&Given::Nothing)
            }
            Given::Text(text) if text.is_empty() => self.empty(),
            Given::Text(text) => self.takes.text(text),
            Given::Number(number) => self.takes.number(number),
            Given::Parameter(text) => self.takes.text(text),
            Given::Other => self.takes.other(),
        }
    }

    /// Returns the error of an empty string: where none is required, it may stand for no text and no id.
    fn empty(&self) -> Option<FieldError> {
        match self.takes {
            Takes::Text { visible: false, .. } | Takes::Line { visible: false, .. } | Takes::Id if !self.required => {
                None
            }
            Takes::OneOf(_) | Takes::Whole { .. } | Takes::Bool | Takes::List => self.takes.text(""),
            Takes::DateTime | Takes::TimeOfDay if !self.required => self.takes.text(""),
            Takes::Text { .. }
            | Takes::Line { .. }
            | Takes::Password { .. }
            | Takes::Pincode
            | Takes::Email
            | Takes::Id
            | Takes::DateTime
            | Takes::TimeOfDay => Some(self.takes.missing()),
        }
    }
}

impl Takes {
    /// Returns whether the error of a value says more than that of its type.
    const fn has_bounds(&self) -> bool {
        matches!(self, Self::Whole { .. } | Self::OneOf(_))
    }

    /// Returns the error of a field that is required and missing.
    fn missing(&self) -> FieldError {
        match *self {
            Self::Text { most: Some(most), .. } | Self::Line { most, .. } => FieldError::blank(1, most),
            Self::Password { least, most: Some(most) } => FieldError::blank(least, most),
            Self::Pincode => "".parse::<Pincode>().err().unwrap_or(FieldError::REQUIRED),
            Self::Email => "".parse::<Email>().err().unwrap_or(FieldError::REQUIRED),
            Self::OneOf(names) => FieldError::missing_one_of(names),
            Self::Text { most: None, .. }
            | Self::Password { most: None, .. }
            | Self::Id
            | Self::DateTime
            | Self::TimeOfDay
            | Self::Whole { .. }
            | Self::Bool
            | Self::List => FieldError::REQUIRED,
        }
    }

    /// Returns the error of a text that is not empty.
    fn text(&self, text: &str) -> Option<FieldError> {
        match *self {
            Self::Text { visible: true, .. } if kernel::is_blank(text) => Some(self.missing()),
            Self::Text { most, visible } => {
                let length = if visible { text.trim() } else { text }.chars().count();
                most.filter(|most| length > *most).map(FieldError::too_long)
            }
            Self::Line { visible: false, .. } if kernel::is_blank(text) => None,
            Self::Line { most, .. } => kernel::clean_line(text, most).err(),
            Self::Password { least, most } => {
                let most = most?;
                match text.nfkc().take(most + 1).count() {
                    length if length > most => Some(FieldError::too_long(most)),
                    length if length < least => Some(FieldError::too_short(least, most)),
                    _ => None,
                }
            }
            Self::Pincode => text.parse::<Pincode>().err(),
            Self::Email => text.parse::<Email>().err(),
            Self::Id => text.parse::<UserId>().err().map(FieldError::from),
            // A `Timestamp` has another range than a date-time that keeps its offset.
            Self::DateTime => text.parse::<OffsetDateTime>().err().filter(|_| text.parse::<UtcDateTime>().is_err()),
            Self::TimeOfDay => kernel::parse_time_of_day(text).err(),
            // Enums may be given by number, also in a string. The service knows the numbers.
            Self::OneOf(names) => (!names.contains(&text) && !is_number(text)).then(|| FieldError::not_one_of(names)),
            // A number may be written as a string.
            Self::Whole { .. } => self.number(text),
            Self::Bool | Self::List => None,
        }
    }

    fn number(&self, number: &str) -> Option<FieldError> {
        match *self {
            Self::Whole { least, most } => {
                let value =
                    Some(number).filter(|number| is_number(number)).and_then(|number| number.parse::<f64>().ok());
                #[allow(clippy::cast_precision_loss, reason = "the bounds are of 32 bits")]
                match value {
                    Some(value) if value.fract() == 0.0 && (least as f64..=most as f64).contains(&value) => None,
                    Some(value) if value.fract() == 0.0 || value.is_infinite() => {
                        Some(out_of_range(value, least, most))
                    }
                    _ => Some(not_whole(least, most)),
                }
            }
            Self::OneOf(_) => None,
            Self::Text { .. }
            | Self::Line { .. }
            | Self::Password { .. }
            | Self::Pincode
            | Self::Email
            | Self::Id
            | Self::DateTime
            | Self::TimeOfDay
            | Self::Bool
            | Self::List => self.other(),
        }
    }

    /// Returns the error of a value of another JSON type.
    fn other(&self) -> Option<FieldError> {
        match *self {
            Self::Text { .. } | Self::Line { .. } | Self::Password { .. } | Self::Pincode | Self::Email => {
                Some(FieldError::new(FieldReason::Malformed, "must be a string"))
            }
            Self::Id => Some(FieldError::NOT_AN_ID),
            Self::DateTime => "".parse::<OffsetDateTime>().err(),
            Self::TimeOfDay => Some(FieldError::NOT_A_TIME_OF_DAY),
            Self::Whole { least, most } => Some(not_whole(least, most)),
            Self::OneOf(names) => Some(FieldError { reason: FieldReason::Malformed, ..FieldError::not_one_of(names) }),
            Self::Bool | Self::List => None,
        }
    }
}

fn out_of_range(value: f64, least: i64, most: i64) -> FieldError {
    match (least, most) {
        (0, most) if most == i64::from(i32::MAX) && value < 0.0 => FieldError::NEGATIVE,
        (0, most) if most == i64::from(i32::MAX) => {
            FieldError::of(FieldReason::OutOfRange, format!("must be at most {most}"))
        }
        _ => FieldError::out_of_range(least, most),
    }
}

fn not_whole(least: i64, most: i64) -> FieldError {
    let description = match (least, most) {
        (0, most) if most == i64::from(i32::MAX) => "must be a whole number, not negative".to_owned(),
        _ => format!("must be a whole number, {least} to {most}"),
    };
    FieldError::of(FieldReason::Malformed, description)
}
