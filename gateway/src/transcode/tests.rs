//! Compares transcoding with another implementation: prost-reflect's dynamic messages.

use proptest::prelude::*;
use prost::Message as _;
use prost_reflect::{
    DescriptorPool, DeserializeOptions, DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor,
    ReflectMessage as _, SerializeOptions, Value,
};

use super::{BadFields, Printer, parse_message};
use crate::json::Malformed;
use crate::schema::{Compiler, MessageId, Schema};

const KINDS: &str = "therapy.testing.v1.Kinds";
/// Messages with a map, a map of numbers, 64-bit numbers with presence, and messages in lists.
const OTHERS: [&str; 4] =
    ["google.rpc.ErrorInfo", "google.rpc.QuotaFailure", "google.rpc.BadRequest", "google.rpc.RetryInfo"];

fn pool() -> DescriptorPool {
    DescriptorPool::decode(kit::front_service::DESCRIPTOR_SET).unwrap()
}

fn compiled(name: &str) -> (MessageDescriptor, Schema, MessageId) {
    let message = pool().get_message_by_name(name).unwrap();
    let mut compiler = Compiler::default();
    let id = compiler.request(&message).unwrap();
    (message, compiler.finish(), id)
}

fn printed(schema: &Schema, id: MessageId, wire: &[u8]) -> String {
    let mut out = Vec::new();
    Printer::new(schema).message(id, wire, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn parsed(schema: &Schema, id: MessageId, json: &str) -> Result<(Vec<u8>, BadFields), Malformed> {
    let (mut wire, mut bad) = (Vec::new(), BadFields::new());
    parse_message(schema, id, json, &mut wire, &mut bad)?;
    Ok((wire, bad))
}

/// Returns the bad fields of a well-formed JSON text, as `path must`.
fn violations(json: &str) -> Vec<String> {
    let (_, schema, id) = compiled(KINDS);
    let (_, bad) = parsed(&schema, id, json).unwrap();
    bad.into_iter().map(|field| format!("{} {}", field.path, field.error)).collect()
}

/// Reads JSON with the other implementation, by the options that ours follows.
fn other_reads(message: &MessageDescriptor, json: &str) -> DynamicMessage {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let options = DeserializeOptions::new().deny_unknown_fields(false);
    DynamicMessage::deserialize_with_options(message.clone(), &mut deserializer, &options).unwrap()
}

fn other_writes(message: &DynamicMessage) -> String {
    let mut out = Vec::new();
    let mut serializer = serde_json::Serializer::new(&mut out);
    message.serialize_with_options(&mut serializer, &SerializeOptions::new().skip_default_fields(false)).unwrap();
    String::from_utf8(out).unwrap()
}

/// Returns whether two messages are the same on the wire, where a default equals an absent field. (Not `assert_eq`: the
/// `Debug` of a message that holds itself does not end.)
fn same(one: &DynamicMessage, other: &DynamicMessage) -> bool {
    let through =
        |message: &DynamicMessage| DynamicMessage::decode(message.descriptor(), message.encode_to_vec().as_slice());
    through(one).unwrap() == through(other).unwrap()
}

/// A source of choices that is a function of its seed (SplitMix64).
struct Choices(u64);

impl Choices {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn any<T: Copy>(&mut self, edges: &[T], random: impl Fn(u64) -> T) -> T {
        let at = usize::try_from(self.below(edges.len() as u64 + 2)).unwrap();
        edges.get(at).copied().unwrap_or_else(|| random(self.next()))
    }

    fn text(&mut self) -> String {
        const PARTS: [&str; 12] =
            ["", "a", "Zoë", "\"", "\\", "\n\t\r", "\u{1}\u{7f}", "😀", "\u{2028}", "</b>", "[", "long and plain text"];
        (0..self.below(5)).map(|_| PARTS[usize::try_from(self.below(12)).unwrap()]).collect()
    }

    fn message(&mut self, kind: &MessageDescriptor, depth: u32) -> DynamicMessage {
        let mut message = DynamicMessage::new(kind.clone());
        match kind.full_name() {
            "google.protobuf.Timestamp" => {
                message.set_field_by_name(
                    "seconds",
                    Value::I64(i64::try_from(self.below(315_537_897_600)).unwrap() - 62_135_596_800),
                );
                message.set_field_by_name(
                    "nanos",
                    Value::I32(
                        self.any(&[0, 1, 120_000_000, 999_999_999], |r| i32::try_from(r % 1_000_000_000).unwrap()),
                    ),
                );
                return message;
            }
            "google.protobuf.Duration" => {
                let negative = self.below(2) == 1;
                let (seconds, nanos) = (
                    i64::try_from(self.below(315_576_000_000)).unwrap(),
                    i32::try_from(self.below(1_000_000_000)).unwrap(),
                );
                message.set_field_by_name("seconds", Value::I64(if negative { -seconds } else { seconds }));
                message.set_field_by_name("nanos", Value::I32(if negative { -nanos } else { nanos }));
                return message;
            }
            _ => {}
        }
        for field in kind.fields() {
            if self.below(3) == 0 || depth == 0 && field.kind().as_message().is_some() {
                continue;
            }
            let value = if field.is_map() {
                let Kind::Message(entry) = field.kind() else { unreachable!() };
                let value = entry.map_entry_value_field();
                Value::Map(
                    (0..self.below(4)).map(|_| (MapKey::String(self.text()), self.value(&value, depth))).collect(),
                )
            } else if field.is_list() {
                Value::List((0..self.below(4)).map(|_| self.value(&field, depth)).collect())
            } else {
                self.value(&field, depth)
            };
            message.set_field(&field, value);
        }
        message
    }

    #[allow(clippy::cast_possible_truncation, reason = "any bits will do")]
    fn value(&mut self, field: &FieldDescriptor, depth: u32) -> Value {
        match field.kind() {
            // Eighths: serde_json reads long fractions only nearly right.
            Kind::Double => {
                Value::F64(self.any(&[0.0, -0.0, 1.0, 1e300, 5e-324, f64::INFINITY, f64::NEG_INFINITY, 0.1], |r| {
                    f64::from(r as u32) / 8.0
                }))
            }
            Kind::Float => Value::F32(
                self.any(&[0.0, 1.0, 3.4e38, f32::MIN_POSITIVE, f32::INFINITY, 0.1], |r| f32::from(r as u16) / 8.0),
            ),
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => {
                Value::I32(self.any(&[0, 1, -1, i32::MIN, i32::MAX], |r| r as i32))
            }
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => {
                Value::I64(self.any(&[0, 1, -1, i64::MIN, i64::MAX], |r| r as i64))
            }
            Kind::Uint32 | Kind::Fixed32 => Value::U32(self.any(&[0, 1, u32::MAX], |r| r as u32)),
            Kind::Uint64 | Kind::Fixed64 => Value::U64(self.any(&[0, 1, u64::MAX], |r| r)),
            Kind::Bool => Value::Bool(self.below(2) == 1),
            Kind::String => Value::String(self.text()),
            Kind::Bytes => Value::Bytes((0..self.below(6)).map(|_| self.next() as u8).collect::<Vec<_>>().into()),
            // One more than there are names: enums are open.
            Kind::Enum(kind) => Value::EnumNumber(self.below(kind.values().count() as u64 + 1) as i32),
            Kind::Message(kind) => Value::Message(self.message(&kind, depth.saturating_sub(1))),
        }
    }
}

proptest! {
    #[test]
    fn printed_json_reads_as_same_message(seed in any::<u64>(), other in 0..=OTHERS.len()) {
        let (kind, schema, id) = compiled(OTHERS.get(other).copied().unwrap_or(KINDS));
        let message = Choices(seed).message(&kind, 3);
        let json = printed(&schema, id, &message.encode_to_vec());
        prop_assert!(same(&other_reads(&kind, &json), &message), "seed {}: {}", seed, json);
    }

    #[test]
    fn json_of_prost_reflect_parses_as_same_message(seed in any::<u64>(), other in 0..=OTHERS.len()) {
        let (kind, schema, id) = compiled(OTHERS.get(other).copied().unwrap_or(KINDS));
        let message = Choices(seed).message(&kind, 3);
        let json = other_writes(&message);
        let (wire, bad) = parsed(&schema, id, &json).unwrap();
        prop_assert_eq!(bad, vec![], "seed {}: {}", seed, json);
        prop_assert!(same(&DynamicMessage::decode(kind, wire.as_slice()).unwrap(), &message), "seed {}: {}", seed, json);
    }

    #[test]
    fn printed_json_equals_prost_reflect(seed in any::<u64>()) {
        let (kind, schema, id) = compiled(KINDS);
        let message = Choices(seed).message(&kind, 3);
        let ours: serde_json::Value = serde_json::from_str(&printed(&schema, id, &message.encode_to_vec())).unwrap();
        let theirs: serde_json::Value = serde_json::from_str(&other_writes(&message)).unwrap();
        prop_assert_eq!(normalised(ours), normalised(theirs), "seed {}", seed);
    }

    #[test]
    fn printing_arbitrary_bytes_does_not_panic(wire in any::<Vec<u8>>()) {
        let (_, schema, id) = compiled(KINDS);
        let mut out = Vec::new();
        if Printer::new(&schema).message(id, &wire, &mut out).is_ok() {
            prop_assert!(serde_json::from_slice::<serde_json::Value>(&out).is_ok());
        }
    }

    #[test]
    fn parsing_arbitrary_text_does_not_panic(json in r#"(\{|\}|\[|\]|,|:|"|1|-|e|true|null|\\u00|"(an_int32|inner|inners|someBytes|timestamp|chosenString|strings|duration|anEnum)":){0,40}"#) {
        let (kind, schema, id) = compiled(KINDS);
        if let Ok((wire, bad)) = parsed(&schema, id, &json)
            && bad.is_empty()
        {
            prop_assert!(DynamicMessage::decode(kind, wire.as_slice()).is_ok());
        }
    }
}

/// Normalises numbers to one kind, and `-0.0` to zero: the two writers differ in them.
fn normalised(value: serde_json::Value) -> serde_json::Value {
    match value {
        serde_json::Value::Number(number) => serde_json::json!(number.as_f64().unwrap() + 0.0),
        serde_json::Value::Array(items) => items.into_iter().map(normalised).collect(),
        serde_json::Value::Object(members) => {
            members.into_iter().map(|(name, value)| (name, normalised(value))).collect()
        }
        other @ (serde_json::Value::Null | serde_json::Value::Bool(_) | serde_json::Value::String(_)) => other,
    }
}

#[test]
fn fields_with_presence_print_only_if_set() {
    let (_, schema, id) = compiled("therapy.testing.v1.Item");
    assert_eq!(
        printed(&schema, id, &[]),
        r#"{"itemId":"","title":"","weight":0,"state":"STATE_UNSPECIFIED","labels":[]}"#
    );
    let (_, schema, id) = compiled(KINDS);
    let (wire, _) = parsed(&schema, id, r#"{"maybeInt32": 0, "chosenString": "", "inner": {}}"#).unwrap();
    let json = printed(&schema, id, &wire);
    assert!(json.contains(r#""maybeInt32":0,"chosenString":"""#), "{json}");
    assert!(json.contains(r#""inner":{"text":"","number":0,"inners":[]}"#), "{json}");
}

#[test]
fn unordered_and_repeated_fields_are_merged() {
    let (_, schema, id) = compiled(KINDS);
    // strings = "b"; inner { number: 7 }; strings = "a"; inner { text: "x" }; a_string = "1"; a_string = "2"
    let wire = [
        &[0x9a, 0x02, 1, b'b'][..],
        &[0x8a, 0x01, 2, 0x10, 7],
        &[0x9a, 0x02, 1, b'a'],
        &[0x8a, 0x01, 3, 0x0a, 1, b'x'],
        &[0x72, 1, b'1', 0x72, 1, b'2'],
    ]
    .concat();
    let json = printed(&schema, id, &wire);
    assert!(json.contains(r#""strings":["b","a"]"#), "{json}");
    assert!(json.contains(r#""inner":{"text":"x","number":7,"inners":[]}"#), "{json}");
    assert!(json.contains(r#""aString":"2""#), "{json}");
}

#[test]
fn last_oneof_member_on_wire_wins() {
    let (_, schema, id) = compiled(KINDS);
    let wire = [0xe0, 0x01, 5, 0xda, 0x01, 1, b'x'];
    let json = printed(&schema, id, &wire);
    assert!(json.contains(r#""chosenString":"x""#) && !json.contains("chosenInt32"), "{json}");
    assert_eq!(
        violations(r#"{"chosenString": "x", "chosenInt32": 5}"#),
        ["chosenInt32 excludes another field that is set as well"]
    );
}

#[test]
fn lists_are_read_packed_and_unpacked() {
    let (_, schema, id) = compiled(KINDS);
    let wire = [0xfa, 0x01, 2, 1, 2, 0xf8, 0x01, 3];
    assert!(printed(&schema, id, &wire).contains(r#""int32s":[1,2,3]"#));
}

#[test]
fn bad_fields_are_reported_together_with_paths() {
    let json = r#"{
        "anInt32": "many", "aBool": "true", "aString": 7, "anEnum": "AJAR", "timestamp": "yesterday",
        "inner": {"number": 1.5, "inner": {"text": null, "number": []}},
        "inners": [{}, {"number": true}, null], "strings": "one", "someBytes": "?", "anInt64": 9223372036854775808,
        "aFloat": 1e39, "aDouble": 1e999, "aUint32": -1, "duration": 3, "wrappedInt64": {}, "unknown": {"a": [1]}
    }"#;
    assert_eq!(
        violations(json),
        [
            "anInt32 must be a whole number from -2147483648 to 2147483647",
            "aBool must be true or false",
            "aString must be a string",
            "anEnum must be OPEN or CLOSED",
            "timestamp must be an RFC 3339 date-time with its offset, such as 2026-12-01T09:00:00+05:30",
            "inner.number must be a whole number from -2147483648 to 2147483647",
            "inner.inner.number must be a whole number",
            "inners[1].number must be a whole number",
            "inners[2] must be an object",
            "strings must be an array",
            "someBytes must be bytes in base64",
            "anInt64 must be a whole number from -9223372036854775808 to 9223372036854775807",
            "aFloat must be a number within the range of a float",
            "aDouble must be a number within the range of a double",
            "aUint32 must be a whole number from 0 to 4294967295",
            "duration must be a string",
            "wrappedInt64 must be a whole number",
        ]
    );
}

#[test]
fn bad_fields_are_capped_at_100() {
    let json = format!("{{\"int32s\": [{}null]}}", "null,".repeat(10_000));
    assert_eq!(violations(&json).len(), 100);
}

#[test]
fn equivalent_json_parses_as_same_message() {
    let (kind, schema, id) = compiled(KINDS);
    let pairs = [
        (r#"{"anInt32": 100}"#, r#"{"an_int32": 1e2}"#),
        (r#"{"anInt64": "5"}"#, r#"{"anInt64": 5.0}"#),
        (r#"{"someBytes": "+/8="}"#, r#"{"someBytes": "-_8"}"#),
        (r#"{"anEnum": "OPEN"}"#, r#"{"anEnum": 1}"#),
        (r#"{"aDouble": "Infinity"}"#, r#"{"a_double": "Infinity", "unknown": [[{}]]}"#),
        (r#"{"timestamp": "2024-01-01T00:00:00Z"}"#, r#"{"timestamp": "2024-01-01T01:00:00.000+01:00"}"#),
        (r#"{"anotherName": "x"}"#, r#"{"renamed": "x"}"#),
        (r#"{}"#, r#"{"anInt32": null, "inner": null, "strings": null, "chosenString": null}"#),
        (r#"{"aString": "last"}"#, r#"{"aString": "first", "aString": "last"}"#),
    ];
    for (one, other) in pairs {
        let read = |json: &str| {
            let (wire, bad) = parsed(&schema, id, json).unwrap();
            assert_eq!(bad, [], "{json}");
            DynamicMessage::decode(kind.clone(), wire.as_slice()).unwrap()
        };
        assert!(same(&read(one), &read(other)), "{one} and {other}");
    }
}

#[test]
fn untranscodable_request_fails_compilation() {
    let http_body = pool().get_message_by_name("google.api.HttpBody").unwrap();
    let error = Compiler::default().request(&http_body).unwrap_err();
    assert_eq!(error.to_string(), "google.api.HttpBody can't come in a request: it holds google.protobuf.Any");
    assert!(Compiler::default().response(&http_body).is_ok());
}
