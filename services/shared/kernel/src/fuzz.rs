//! Fuzzes texts from outside: whatever is accepted has one form, and is kept in it.

use std::str::FromStr;

use jiff::Timestamp;
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

use crate::text::fold;
use crate::{Email, OffsetDateTime, PersonName, Pincode, RequestId, UserId, UtcDateTime, Version};

/// Most bytes of a folded text: it is part of keys of DynamoDB.
const MOST_FOLDED: usize = 900;

fuzz::target!(
    date_times,
    fuzz::bytes(&[
        "2026-12-01T09:00:00Z",
        "2024-02-29T23:59:59.999999999+05:30",
        "0001-01-01T00:00:00-23:59",
        "9999-12-31",
        "9999-12-31T23:59:59.999999999Z",
        "-",
        "+",
        ":",
        ".",
        "T",
        "t",
        "Z",
        "z",
        " ",
        "[Asia/Kolkata]",
        "2026-12-31T23:59:60Z",
        "00",
        ":60",
        "24",
        "2026",
        "02-30",
        "0",
        "9",
        "٢",
        "−",
    ])
);

fn date_times(text: Vec<u8>) -> TestCaseResult {
    let text = String::from_utf8_lossy(&text);
    let in_utc = text.parse::<UtcDateTime>();
    if let Ok(instant) = in_utc {
        prop_assert_eq!(instant.to_string().parse(), Ok(instant));
        let (seconds, nanoseconds) = instant.to_unix();
        prop_assert_eq!(UtcDateTime::from_unix(seconds, nanoseconds), Some(instant));
    }
    let Ok(told) = text.parse::<OffsetDateTime>() else { return Ok(()) };
    prop_assert_eq!(in_utc, Ok(UtcDateTime::from(told.instant())));
    // Another reader sees the same instant.
    prop_assert_eq!(text.parse::<Timestamp>().ok(), Some(told.instant()));
    let printed = told.to_string();
    prop_assert_eq!(printed.parse(), Ok(told));
    prop_assert_eq!(printed.parse::<OffsetDateTime>().map(|again| again.to_string()), Ok(printed));
    // Nothing in it but what RFC 3339 writes.
    prop_assert!(text.bytes().all(|byte| byte.is_ascii_digit() || b"-+:.TtZz".contains(&byte)));
    Ok(())
}

fuzz::target!(
    addresses,
    prop_oneof![
        1 => fuzz::bytes(&ADDRESS),
        2 => fuzz::damaged((fuzz::text(&ADDRESS[..17]), fuzz::text(&ADDRESS[..9])).prop_map(|(local, domain)| {
            format!("{local}@{domain}.org").into_bytes()
        })),
    ]
);

/// Tokens of an address; those that a domain may be made of come first.
const ADDRESS: [&str; 36] = [
    "a",
    "example",
    "EXAMPLE",
    "zoë",
    ".",
    "．",
    "-",
    "1",
    "İ",
    "+tag",
    "_",
    "﹫",
    "＠",
    "﹐",
    "¨",
    "ﷺ",
    "e\u{301}",
    "@",
    "example.org",
    "@example.org",
    ".org",
    "。",
    "\"",
    "\\",
    "<",
    ">",
    "(",
    ",",
    ";",
    " ",
    "\u{a0}",
    "\u{200b}",
    "\u{202e}",
    "\0",
    "\r\n",
    "[127.0.0.1]",
];

fn addresses(text: Vec<u8>) -> TestCaseResult {
    let text = String::from_utf8_lossy(&text);
    canonical::<Email>(&text, Email::as_str, Email::folded)?;
    if let Ok(address) = text.parse::<Email>() {
        prop_assert!(address.as_str().chars().count() <= 254);
        prop_assert!(!address.as_str().chars().any(|c| c.is_whitespace() || c.is_control()));
        // The form by which accounts are found is an address too: one mailbox, and of the same account.
        let folded = address.folded();
        prop_assert_eq!(folded.parse::<Email>().map(|found| found.folded()), Ok(folded));
    }
    Ok(())
}

fuzz::target!(
    names_and_codes,
    fuzz::bytes(&[
        "a",
        "Z",
        "1",
        "110001",
        "SW1A 1AA",
        " ",
        "-",
        "_",
        "é",
        "e\u{301}",
        "ﷺ",
        "\u{1d400}",
        "ﬁ",
        "Ⅷ",
        "İ",
        "\t",
        "\n",
        "\0",
        "\u{85}",
        "\u{3164}",
        "\u{a0}",
        "\u{ad}",
        "\u{200b}",
        "\u{200d}",
        "\u{202e}",
        "\u{2800}",
        "ＣＢＴ",
    ])
);

fn names_and_codes(text: Vec<u8>) -> TestCaseResult {
    let text = String::from_utf8_lossy(&text);
    canonical::<PersonName>(&text, PersonName::as_str, PersonName::folded)?;
    canonical::<Pincode>(&text, Pincode::as_str, Pincode::folded)?;
    Ok(())
}

/// Checks that an accepted text is accepted again as it is kept, unchanged, and fits a key as it is looked up.
fn canonical<T: FromStr>(text: &str, kept: fn(&T) -> &str, folded: fn(&T) -> String) -> TestCaseResult {
    let Ok(value) = text.parse::<T>() else { return Ok(()) };
    let again = kept(&value).parse::<T>().ok();
    prop_assert_eq!(again.as_ref().map(kept), Some(kept(&value)));
    let folded = folded(&value);
    prop_assert!((1..=MOST_FOLDED).contains(&folded.len()));
    prop_assert_eq!(fold(&folded), folded);
    Ok(())
}

fuzz::target!(
    ids_and_etags,
    fuzz::bytes(&[
        "01933b5e-7a4c-7def-8abc-0123456789ab",
        "01933b5e",
        "-",
        "{",
        "}",
        "urn:uuid:",
        "A",
        "f",
        "0",
        "1",
        "W/",
        "\"",
        "+",
        " ",
        "18446744073709551615",
        "18446744073709551616",
    ])
);

fn ids_and_etags(text: Vec<u8>) -> TestCaseResult {
    let text = String::from_utf8_lossy(&text);
    if let Ok(id) = text.parse::<UserId>() {
        prop_assert_eq!(id.to_string(), text.to_ascii_lowercase());
        prop_assert_eq!(UserId::from_bytes(*id.as_bytes()), id);
    }
    if let Ok(Some(version)) = Version::expected(&text) {
        prop_assert_eq!(Version::expected(&version.to_string()).ok(), Some(Some(version)));
    }
    Ok(())
}

fuzz::target!(
    request_ids,
    fuzz::bytes(&["a", "Z", "0", ".", "_", "-", " ", ",", "\n", "\r", "\"", "\0", "ä", "<<", "%0a"])
);

fn request_ids(text: Vec<u8>) -> TestCaseResult {
    let text = String::from_utf8_lossy(&text);
    let is_id =
        !text.is_empty() && text.len() <= 128 && text.chars().all(|c| "._-".contains(c) || c.is_ascii_alphanumeric());
    prop_assert_eq!(text.parse::<RequestId>().map(|id| id.to_string()).ok(), is_id.then(|| text.into_owned()));
    Ok(())
}
