//! Compares the reader with serde_json and with the writer.

use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use serde_json::Value;

use super::reader::{Malformed, Reader, Token, is_number};
use super::write::put_string;

/// A JSON value as it is read: numbers as their text, every member of an object.
#[derive(Debug, PartialEq)]
enum Tree {
    Literal(&'static str),
    Number(String),
    String(String),
    Array(Vec<Tree>),
    Object(Vec<(String, Tree)>),
}

fn read(text: &str) -> Result<Tree, Malformed> {
    let mut reader = Reader::new(text);
    let tree = value(&mut reader)?;
    reader.end()?;
    Ok(tree)
}

fn value(reader: &mut Reader<'_>) -> Result<Tree, Malformed> {
    let literal = |reader: &mut Reader<'_>, literal| reader.literal(literal).map(|()| Tree::Literal(literal));
    match reader.peek()? {
        Token::Null => literal(reader, "null"),
        Token::True => literal(reader, "true"),
        Token::False => literal(reader, "false"),
        Token::Number => Ok(Tree::Number(reader.number()?.to_owned())),
        Token::String => Ok(Tree::String(reader.string()?.into_owned())),
        Token::Array => {
            reader.enter()?;
            let mut items = Vec::new();
            while reader.next_item(items.is_empty())? {
                items.push(value(reader)?);
            }
            Ok(Tree::Array(items))
        }
        Token::Object => {
            reader.enter()?;
            let mut members = Vec::new();
            while let Some(name) = reader.next_key(members.is_empty())? {
                members.push((name.into_owned(), value(reader)?));
            }
            Ok(Tree::Object(members))
        }
    }
}

fn skipped(text: &str) -> Result<(), Malformed> {
    let mut reader = Reader::new(text);
    reader.skip()?;
    reader.end()
}

fn print(tree: &Tree, out: &mut Vec<u8>) {
    match tree {
        Tree::Literal(text) => out.extend_from_slice(text.as_bytes()),
        Tree::Number(text) => out.extend_from_slice(text.as_bytes()),
        Tree::String(text) => put_string(out, text),
        Tree::Array(items) => {
            out.push(b'[');
            for (at, item) in items.iter().enumerate() {
                out.extend_from_slice(if at == 0 { b"" } else { b"," });
                print(item, out);
            }
            out.push(b']');
        }
        Tree::Object(members) => {
            out.push(b'{');
            for (at, (name, value)) in members.iter().enumerate() {
                out.extend_from_slice(if at == 0 { b"" } else { b"," });
                put_string(out, name);
                out.push(b':');
                print(value, out);
            }
            out.push(b'}');
        }
    }
}

fn printed(tree: &Tree) -> String {
    let mut out = Vec::new();
    print(tree, &mut out);
    String::from_utf8(out).unwrap()
}

const TOKENS: [&str; 36] = [
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\"",
    "\"a\":",
    "\"b\"",
    "\"\\u00e4\"",
    "\\ud83d",
    "\\ude00",
    "\\u0000",
    "\\",
    "\\/",
    "\\n",
    "\u{1f}",
    "\u{7f}",
    "é",
    "😀",
    "0",
    "1",
    "-",
    "-0",
    "1.5",
    "1e5",
    "1E+400",
    ".",
    "e",
    "01",
    "true",
    "false",
    "null",
    " ",
    "\t\r\n",
    "\u{feff}",
];

fuzz::target!(
    reader,
    prop_oneof![
        2 => fuzz::bytes(&TOKENS),
        1 => fuzz::damaged(json().prop_map(|value| value.to_string().into_bytes())),
        1 => json().prop_map(|value| serde_json::to_vec_pretty(&value).unwrap()),
    ]
);

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(8, 64, 8, |inner| {
        let items = proptest::collection::vec(inner.clone(), 0..8).prop_map(Value::from);
        let members = proptest::collection::vec((any::<String>(), inner), 0..8);
        prop_oneof![items, members.prop_map(|members| members.into_iter().collect())]
    })
}

fn reader(text: Vec<u8>) -> TestCaseResult {
    let text = String::from_utf8_lossy(&text);
    let theirs = serde_json::from_str::<Value>(&text);
    prop_assert_eq!(read(&text).err(), skipped(&text).err());
    match read(&text) {
        Ok(tree) => {
            let print = printed(&tree);
            prop_assert_eq!(read(&print), Ok(tree));
            match theirs {
                Ok(theirs) => prop_assert_eq!(serde_json::from_str::<Value>(&print).unwrap(), theirs),
                // The field limits the range of a number, not the reader.
                Err(error) => prop_assert!(error.to_string().contains("number out of range"), "{}", error),
            }
            prop_assert!(print.len() <= text.len() * 3, "{} bytes of {}", print.len(), text.len());
        }
        Err(fault) => {
            // Protobuf's limit is below that of serde_json.
            prop_assert!(theirs.is_err() || fault.why == "it is nested too deeply", "{:?}", fault);
            let (line, column) = fault.position(text.as_bytes());
            let faulty_line = text.as_bytes().split(|byte| *byte == b'\n').nth(line - 1);
            prop_assert!(
                faulty_line.is_some_and(|faulty_line| (1..=faulty_line.len() + 1).contains(&column)),
                "{}:{}",
                line,
                column
            );
        }
    }
    prop_assert_eq!(is_number(&text), matches!(read(&text), Ok(Tree::Number(number)) if number == text));
    Ok(())
}
