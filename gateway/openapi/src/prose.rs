//! Converts comments of the protos to Markdown.

use proto::code;

/// Names that comments refer to.
pub(crate) trait Glossary {
    /// Returns the REST route of an RPC; none if the name is no RPC.
    fn route(&self, name: &str) -> Option<String>;
    /// Returns whether a word is a value of an enum.
    fn is_value(&self, word: &str) -> bool;
}

/// Converts a comment to Markdown: its paragraph `Errors: …; …` becomes a list with the statuses of HTTP, and names become code.
/// Between backticks, fields get the names that JSON gives them, and RPCs their routes.
pub(crate) fn markdown(comment: &str, glossary: &impl Glossary) -> String {
    let lines: Vec<_> = comment.lines().map(str::trim).collect();
    let paragraphs = lines.split(|line| line.is_empty()).filter(|lines| !lines.is_empty());
    let paragraphs = paragraphs.map(|lines| {
        let text = lines.join(" ");
        match text.strip_prefix("Errors: ") {
            Some(errors) => errors_list(errors, glossary),
            None => names(&text, glossary, |word| glossary.is_value(word).then(|| quoted(word))),
        }
    });
    paragraphs.collect::<Vec<_>>().join("\n\n")
}

fn errors_list(errors: &str, glossary: &impl Glossary) -> String {
    let named = |word: &str| match code::from_name(word) {
        Some(code) => Some(format!("{} {}", code::http_status(code), quoted(word))),
        None => is_reason(word).then(|| quoted(word)),
    };
    let items = errors.trim_end_matches('.').split("; ");
    let items = items.map(|item| format!("- {}", names(item, glossary, named)));
    format!("It can fail with:\n\n{}", items.collect::<Vec<_>>().join("\n"))
}

fn quoted(word: &str) -> String {
    format!("`{word}`")
}

/// Returns whether a word looks like a reason or a state: `SLOT_TAKEN`, `PENDING`.
fn is_reason(word: &str) -> bool {
    word.len() > 3 && word.chars().all(|c| c.is_ascii_uppercase() || c == '_')
}

/// Replaces the names in a text by those of REST; `word` replaces words that are not between backticks.
fn names(text: &str, glossary: &impl Glossary, word: impl Fn(&str) -> Option<String>) -> String {
    let parts = text.split('`').enumerate().map(|(at, part)| match at % 2 {
        1 => quoted(&glossary.route(part).unwrap_or_else(|| camel_case(part))),
        _ => words(part).map(|part| word(part).unwrap_or_else(|| part.to_owned())).collect(),
    });
    parts.collect()
}

/// Splits a text into its words and the separators between them.
fn words(mut text: &str) -> impl Iterator<Item = &str> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    std::iter::from_fn(move || {
        let first = is_word(text.chars().next()?);
        let end = text.find(|c| is_word(c) != first).unwrap_or(text.len());
        let (part, rest) = text.split_at(end);
        text = rest;
        Some(part)
    })
}

/// The name that JSON gives to a field.
pub(crate) fn camel_case(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut letters = name.chars().peekable();
    while let Some(letter) = letters.next() {
        match letters.peek() {
            Some(next) if letter == '_' && next.is_ascii_lowercase() => {
                out.push(next.to_ascii_uppercase());
                letters.next();
            }
            _ => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Few;

    impl Glossary for Few {
        fn route(&self, name: &str) -> Option<String> {
            (name == "Refresh").then(|| "POST /auth/refresh".to_owned())
        }

        fn is_value(&self, word: &str) -> bool {
            word == "PENDING"
        }
    }

    #[test]
    fn lines_become_paragraphs_with_rest_names() {
        let comment =
            " One that is PENDING — or `PENDING` —\n by `time_zone`.\n\n Then `Refresh`, not Refresh; `HH:MM` stays.\n";
        let expected = "One that is `PENDING` — or `PENDING` — by `timeZone`.\n\nThen `POST /auth/refresh`, not Refresh; `HH:MM` stays.";
        assert_eq!(markdown(comment, &Few), expected);
    }

    #[test]
    fn errors_become_list_with_statuses() {
        let comment =
            " Errors: NOT_FOUND; ALREADY_EXISTS (SLOT_TAKEN) when it is PENDING, as RFC 9110\n says of `page_size`.";
        let expected = "It can fail with:\n\n- 404 `NOT_FOUND`\n- 409 `ALREADY_EXISTS` (`SLOT_TAKEN`) when it is `PENDING`, as RFC 9110 says of `pageSize`";
        assert_eq!(markdown(comment, &Few), expected);
    }

    #[test]
    fn json_names_have_no_underscores() {
        for (name, expected) in
            [("client_id", "clientId"), ("a", "a"), ("SLOT_TAKEN", "SLOT_TAKEN"), ("/{a_b}/c", "/{aB}/c")]
        {
            assert_eq!(camel_case(name), expected);
        }
    }
}
