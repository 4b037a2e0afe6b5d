//! A small template language, so that the template of a YAML file reads like the result.
//!
//! `{{name}}` is a value. The lines from `#for list` to `#end` are repeated for each item of the list, which has values of its own
//! beside those around it; the lines from `#if name` to `#end` are there where the value is there and not empty. Both nest.

use std::collections::BTreeMap;

/// Values that a template refers to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Values {
    texts: BTreeMap<&'static str, String>,
    lists: BTreeMap<&'static str, Vec<Self>>,
}

/// Error in a template.
#[derive(Debug, thiserror::Error)]
#[error("line {line} of the template: {what}")]
pub struct BadTemplate {
    line: usize,
    what: String,
}

impl Values {
    /// Values by their names.
    pub(crate) fn new<const N: usize>(texts: [(&'static str, String); N]) -> Self {
        Self { texts: texts.into(), lists: BTreeMap::new() }
    }

    /// Adds a list.
    pub(crate) fn list(mut self, name: &'static str, items: impl IntoIterator<Item = Self>) -> Self {
        self.lists.insert(name, items.into_iter().collect());
        self
    }
}

/// Fills a template.
///
/// # Errors
/// If it refers to a name without a value, or its blocks don't match.
pub(crate) fn fill(template: &str, values: &Values) -> Result<String, BadTemplate> {
    let lines: Vec<_> = template.lines().collect();
    let mut filled = String::with_capacity(template.len() * 4);
    let end = block(&lines, 0, &[values], true, &mut filled)?;
    if end == lines.len() { Ok(filled) } else { Err(bad(end, "#end without a beginning")) }
}

/// Writes the lines from `at` to the end of their block, and returns the index of that end. Later scopes take precedence.
fn block(lines: &[&str], at: usize, scopes: &[&Values], shown: bool, out: &mut String) -> Result<usize, BadTemplate> {
    let mut at = at;
    while let Some(line) = lines.get(at) {
        let word = line.trim_start();
        if word == "#end" {
            return Ok(at);
        } else if let Some(list) = word.strip_prefix("#for ") {
            let items = scopes.iter().rev().find_map(|scope| scope.lists.get(list));
            let items = items.ok_or_else(|| bad(at, format!("{list} is not a list")))?;
            let mut end = block(lines, at + 1, scopes, false, out)?;
            for item in items.iter().filter(|_| shown) {
                end = block(lines, at + 1, &[scopes, &[item]].concat(), true, out)?;
            }
            at = end;
        } else if let Some(name) = word.strip_prefix("#if ") {
            let is_there = scopes.iter().rev().find_map(|scope| scope.texts.get(name)).is_some_and(|v| !v.is_empty());
            at = block(lines, at + 1, scopes, shown && is_there, out)?;
        } else if shown {
            self::line(line, at, scopes, out)?;
        }
        at += 1;
        if at > lines.len() {
            return Err(bad(lines.len() - 1, "a block without #end"));
        }
    }
    Ok(at)
}

fn line(line: &str, at: usize, scopes: &[&Values], out: &mut String) -> Result<(), BadTemplate> {
    let mut rest = line;
    while let Some((before, name, after)) = placeholder(rest) {
        let value = scopes.iter().rev().find_map(|scope| scope.texts.get(name));
        out.push_str(before);
        out.push_str(value.ok_or_else(|| bad(at, format!("{name} has no value")))?);
        rest = after;
    }
    out.push_str(rest);
    out.push('\n');
    Ok(())
}

fn placeholder(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once("{{")?;
    let (name, after) = rest.split_once("}}")?;
    name.chars().all(|c| c.is_ascii_lowercase() || c == '_').then_some((before, name, after))
}

fn bad(at: usize, what: impl Into<String>) -> BadTemplate {
    BadTemplate { line: at + 1, what: what.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(template: &str) -> Result<String, String> {
        let item = |name: &str| Values::new([("name", name.to_owned()), ("old", String::new())]);
        let values = Values::new([("name", "outside".to_owned()), ("empty", String::new())]);
        let values = values.list("items", [item("a"), item("b")]).list("none", []);
        fill(template, &values).map_err(|error| error.to_string())
    }

    #[test]
    fn items_are_repeated_with_their_own_values() {
        assert_eq!(filled("#for items\n- {{name}} {x}\n#end\n{{name}}").unwrap(), "- a {x}\n- b {x}\noutside\n");
    }

    #[test]
    fn blocks_without_value_or_items_are_left_out() {
        let template = "#if empty\n#if name\n{{nothing}}\n#end\n#end\n#for none\n#if name\nx\n#end\n#end\nlast";
        assert_eq!(filled(template).unwrap(), "last\n");
        assert_eq!(filled("#if name\nshown\n#end").unwrap(), "shown\n");
    }

    #[test]
    fn template_error_names_its_line() {
        for (template, error) in [
            ("a\n{{nothing}}", "line 2 of the template: nothing has no value"),
            ("#for nothing\n#end", "line 1 of the template: nothing is not a list"),
            ("a\n#end", "line 2 of the template: #end without a beginning"),
            ("#if name\na", "line 2 of the template: a block without #end"),
        ] {
            assert_eq!(filled(template).unwrap_err(), error);
        }
    }
}
