//! From comments in the protos to words on the page.

use crate::failures::http_status;

/// A comment as Markdown. Its paragraph `Errors: …; …` becomes a list with the statuses of HTTP; between backticks, fields
/// get the names that JSON gives them, and the names of RPCs what `rpc` says.
pub(crate) fn markdown(comment: &str, rpc: impl Fn(&str) -> Option<String>) -> String {
    let lines: Vec<_> = comment.lines().map(str::trim).collect();
    let paragraphs = lines.split(|line| line.is_empty()).filter(|lines| !lines.is_empty());
    let paragraphs = paragraphs.map(|lines| {
        let paragraph = names(&lines.join(" "), &rpc);
        paragraph.strip_prefix("Errors: ").map(errors_list).unwrap_or(paragraph)
    });
    paragraphs.collect::<Vec<_>>().join("\n\n")
}

fn errors_list(errors: &str) -> String {
    let items = errors.trim_end_matches('.').split("; ").map(|item| format!("- {}", codes(item)));
    format!("It can fail with:\n\n{}", items.collect::<Vec<_>>().join("\n"))
}

/// Names in capitals as code, and before the codes of google.rpc.Code their HTTP statuses.
fn codes(item: &str) -> String {
    let mut out = String::new();
    let mut rest = item;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        let (word, after) = rest.split_at(end.max(1).min(rest.len()));
        let is_name = word.len() > 3 && word.chars().all(|c| c.is_ascii_uppercase() || c == '_');
        match http_status(word) {
            Some(status) => out.push_str(&format!("{status} `{word}`")),
            None if is_name && !out.ends_with('`') => out.push_str(&format!("`{word}`")),
            None => out.push_str(word),
        }
        rest = after;
    }
    out
}

fn names(paragraph: &str, rpc: impl Fn(&str) -> Option<String>) -> String {
    let parts = paragraph.split('`').enumerate();
    let named = |(at, part): (usize, &str)| match at % 2 {
        1 => rpc(part).unwrap_or_else(|| camel_case(part)),
        _ => part.to_owned(),
    };
    parts.map(named).collect::<Vec<_>>().join("`")
}

/// The name that JSON gives to a field.
pub(crate) fn camel_case(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut capital = false;
    for c in name.chars() {
        match c {
            '_' => capital = true,
            c if capital && c.is_ascii_lowercase() => {
                out.push(c.to_ascii_uppercase());
                capital = false;
            }
            c => {
                if capital {
                    out.push('_');
                    capital = false;
                }
                out.push(c);
            }
        }
    }
    out
}
