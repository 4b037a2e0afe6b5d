//! Fuzzes origins: one that is accepted covers itself alone.

use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

use crate::Origin;

fuzz::target!(
    origins,
    fuzz::bytes(&[
        "http",
        "https",
        "app",
        "://",
        ":",
        "/",
        "example.org",
        "App.example.org",
        "127.0.0.1",
        "[::1]",
        "[",
        "]",
        "80",
        "443",
        "8080",
        "065",
        "+1",
        "99999",
        "*",
        "null",
        "@",
        "?",
        "#",
        "-",
        "_",
        ".",
        " ",
    ])
);

fn origins(text: Vec<u8>) -> TestCaseResult {
    let text = String::from_utf8_lossy(&text);
    let Ok(origin) = text.parse::<Origin>() else { return Ok(()) };
    prop_assert_eq!(origin.to_string(), &*text);
    let any_port = text.strip_suffix(":*");
    for own in any_port.map_or_else(|| vec![text.to_string()], |host| vec![host.to_owned(), format!("{host}:1")]) {
        prop_assert!(origin.covers(own.as_bytes()), "{}", own);
    }
    if text != "*" {
        for other in
            [&text[1..], &text[..text.len() - 1], &format!("{text}.example.org"), &format!("{text}/"), "null", ""]
        {
            prop_assert!(!origin.covers(other.as_bytes()), "{}", other);
        }
        prop_assert!(
            !text.contains(['/', '@', '?', '#', ' ']) || text.matches('/').count() == 2 && text.contains("://")
        );
        prop_assert!(!text.bytes().any(|byte| byte.is_ascii_uppercase()));
    }
    Ok(())
}
