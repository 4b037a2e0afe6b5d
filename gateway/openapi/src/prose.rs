//! From comments in the protos to words on the page.

use crate::failures::http_status;

/// The paragraphs of a comment, each in one line, with the names of fields as JSON has them.
pub(crate) fn paragraphs(comment: &str) -> Vec<String> {
    let lines: Vec<_> = comment.lines().map(str::trim).collect();
    let paragraphs = lines.split(|line| line.is_empty()).filter(|lines| !lines.is_empty());
    paragraphs.map(|lines| names(&lines.join(" "))).collect()
}

/// A comment as Markdown. Its paragraph `Errors: …; …` becomes a list with the statuses of HTTP.
pub(crate) fn markdown(comment: &str) -> String {
    let paragraphs = paragraphs(comment).into_iter().map(|paragraph| match paragraph.strip_prefix("Errors: ") {
        Some(errors) => errors_list(errors),
        None => paragraph,
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

/// `snake_case` between backticks as JSON writes it.
fn names(paragraph: &str) -> String {
    let parts = paragraph.split('`').enumerate();
    let camel = |(at, part): (usize, &str)| if at % 2 == 1 { camel_case(part) } else { part.to_owned() };
    parts.map(camel).collect::<Vec<_>>().join("`")
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
