//! Builds and writes YAML. Mappings keep their order of insertion.

pub(crate) use serde_yaml_ng::{Mapping as Map, Value};

/// Words that YAML 1.1 does not read as text.
const RESERVED: [&str; 10] = ["true", "false", "null", "yes", "no", "on", "off", "y", "n", "nan"];

pub(crate) fn text(text: impl AsRef<str>) -> Value {
    Value::String(text.as_ref().to_owned())
}

pub(crate) fn list(items: impl IntoIterator<Item = Value>) -> Value {
    Value::Sequence(items.into_iter().collect())
}

pub(crate) fn map<const N: usize>(entries: [(&str, Value); N]) -> Map {
    entries.into_iter().map(|(key, value)| (text(key), value)).collect()
}

/// A reference to a component.
pub(crate) fn reference(kind: &str, name: &str) -> Value {
    map([("$ref", text(format!("#/components/{kind}/{name}")))]).into()
}

/// A value as JSON in one line.
pub(crate) fn json(value: &Value) -> String {
    match value {
        Value::Mapping(map) => {
            let member = |(key, value): (&Value, &Value)| format!("{}:{}", json(key), json(value));
            format!("{{{}}}", map.iter().map(member).collect::<Vec<_>>().join(","))
        }
        Value::Sequence(items) => format!("[{}]", items.iter().map(json).collect::<Vec<_>>().join(",")),
        Value::String(text) => quoted(text),
        Value::Number(number) => number.to_string(),
        Value::Bool(value) => value.to_string(),
        Value::Null | Value::Tagged(_) => "null".to_owned(),
    }
}

/// Writes a document. Text that a reader of YAML 1.1 might take for a time or a number is quoted, which `serde_yaml_ng` doesn't do.
pub(crate) fn document(map: &Map) -> String {
    let mut out = String::new();
    members(map, 0, &mut out);
    out
}

fn members(map: &Map, indent: usize, out: &mut String) {
    for (at, (key, value)) in map.iter().enumerate() {
        if at > 0 || indent == 0 {
            out.push_str(&" ".repeat(indent));
        }
        out.push_str(&key.as_str().filter(|key| is_plain(key)).map_or_else(|| json(key), str::to_owned));
        out.push(':');
        nested(value, indent + 2, out);
    }
}

/// Appends the value of a key.
fn nested(value: &Value, indent: usize, out: &mut String) {
    let margin = " ".repeat(indent);
    if let Some(map) = value.as_mapping().filter(|map| !map.is_empty()) {
        out.push('\n');
        out.push_str(&margin);
        members(map, indent, out);
    } else if let Some(items) = value.as_sequence().filter(|items| !items.is_empty()) {
        out.push('\n');
        for item in items {
            out.push_str(&margin);
            out.push('-');
            if let Some(map) = item.as_mapping().filter(|map| !map.is_empty()) {
                out.push(' ');
                members(map, indent + 2, out);
            } else {
                nested(item, indent + 2, out);
            }
        }
    } else {
        out.push(' ');
        out.push_str(&scalar(value, indent));
        out.push('\n');
    }
}

fn scalar(value: &Value, indent: usize) -> String {
    let Value::String(text) = value else { return json(value) };
    if is_plain(text) {
        return text.clone();
    }
    let is_block = text.contains('\n')
        && text.lines().next().is_some_and(|line| line.trim() == line && !line.is_empty())
        && !text.ends_with('\n')
        && text.chars().all(|c| c == '\n' || !c.is_control());
    if !is_block {
        return quoted(text);
    }
    let lines = text.lines().map(|line| match line {
        "" => String::new(),
        line => format!("{}{line}", " ".repeat(indent)),
    });
    format!("|-\n{}", lines.collect::<Vec<_>>().join("\n"))
}

/// Returns whether a text needs no quotes in any version of YAML.
fn is_plain(text: &str) -> bool {
    let letters = |c: char| c.is_ascii_alphanumeric() || " _/.,;()'`-".contains(c);
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
        && text.chars().all(letters)
        && !text.ends_with(' ')
        && !RESERVED.contains(&text.to_ascii_lowercase().as_str())
}

/// Quotes a text, as both JSON and YAML write it.
fn quoted(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            c if c.is_control() => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_yaml_and_json_read_back() {
        let texts = [
            "",
            " ",
            "plain",
            "10:00",
            "2026-03-02T18:30:00Z",
            "1",
            "1.5",
            "0x1f",
            "yes",
            "No",
            "null",
            "~",
            "- a",
            "a: b",
            "a # b",
            "#",
            "\"quoted\"",
            "back\\slash",
            "two\nlines",
            "two\n\nparagraphs\n  - and a list",
            " led by a space\nx",
            "trailing\n",
            "\n",
            "a\tb",
            "é — 🙂",
            "\u{85}",
            "*a",
            "&a",
            "!a",
            "%a",
            "@a",
            "`a`",
            "{a}",
            "[a]",
            "a,b",
            "=",
            "<<",
        ];
        let mut whole: Map = texts.iter().map(|key| (text(key), list(texts.iter().map(text)))).collect();
        whole.insert(
            text("nested"),
            list([list([text("a"), Map::new().into()]), list([]), map([("b", whole.clone().into())]).into()]),
        );
        whole.insert(text("numbers"), list([1.into(), (-1).into(), 2.5.into(), true.into(), Value::Null]));
        let read: Value = serde_yaml_ng::from_str(&document(&whole)).unwrap();
        assert_eq!(read, Value::Mapping(whole.clone()));
        let read: Value = serde_yaml_ng::from_str(&json(&whole.clone().into())).unwrap();
        assert_eq!(read, Value::Mapping(whole));
    }

    #[test]
    fn text_ambiguous_in_yaml_1_1_is_quoted() {
        for text in ["10:00", "2026-03-02T18:30:00Z", "2026-03-02", "1_000", "yes", "OFF", "~", "null", "=", "0o7"] {
            assert!(scalar(&Value::String(text.to_owned()), 0).starts_with('"'), "{text}");
        }
    }
}
