//! Spellings of e-mail addresses: which are addresses, and which of them are one mailbox.
//!
//! A mailbox has one canonical form. Its domain is in ASCII by UTS #46, non-transitional, so that an internationalised
//! domain and its Punycode (`xn--…`) are one. Its local part has compatibility forms unified (NFKC), is in lower case,
//! and is unquoted where it can be (RFC 5321, section 4.1.2).

use std::fmt;
use std::str::FromStr;

use email_address::{EmailAddress, Options};
use idna::AsciiDenyList;
use idna::uts46::{DnsLength, Hyphens, Uts46};

use crate::text::{clean_text, fold, text};
use crate::{FieldError, FieldReason};

/// Maximum characters of an address, as it is written and in its canonical form.
const MAX_LEN: usize = 254;

const INVALID: FieldError =
    FieldError::new(FieldReason::Malformed, "is not an e-mail address: write it like name@example.org");

text! {
    /// An e-mail address (RFC 5321, RFC 6531): at most 254 characters, no display name, no address literal. All spellings
    /// of one mailbox are folded alike.
    Email, parse, fold_address
}

fn parse(text: &str) -> Result<String, FieldError> {
    let text = clean_text(text, MAX_LEN)?;
    // Some characters fold to an `@`, or to a space.
    let folded = fold(&text);
    if [&text, &folded].into_iter().any(|form| form.chars().any(char::is_whitespace)) || !fits(&folded) {
        return Err(INVALID);
    }
    let is_valid = match canonical(&folded) {
        // Its domain is an address's in ASCII, however it is written.
        Some(canonical) => {
            let domain = canonical.rsplit_once('@').map(|(_, domain)| domain);
            let local = text.rsplit_once('@').map(|(local, _)| local);
            local.zip(domain).is_some_and(|(local, domain)| is_address(&format!("{local}@{domain}")))
        }
        // Earlier versions took it.
        None => is_address(&text) && is_address(&folded),
    };
    if is_valid { Ok(text) } else { Err(INVALID) }
}

/// Returns the form by which an account with this address is found: the canonical one, or that of earlier versions if its
/// domain can't exist.
fn fold_address(text: &str) -> String {
    let folded = fold(text);
    canonical(&folded).unwrap_or(folded)
}

impl Email {
    /// Returns the address if its domain can exist: earlier versions took others, of which only the owners may go on.
    ///
    /// # Errors
    /// If the domain is invalid by UTS #46, or has other ASCII than letters, digits and hyphens.
    pub fn with_valid_domain(self) -> Result<Self, FieldError> {
        match canonical(&fold(self.as_str())) {
            Some(_) => Ok(self),
            None => Err(FieldError::new(
                FieldReason::Malformed,
                "has a domain that can't exist: write the address like name@example.org",
            )),
        }
    }

    /// The address as versions before 0.2 compared it: NFKC and lower case alone.
    #[must_use]
    pub fn folded_before(&self) -> String {
        fold(self.as_str())
    }

    /// The forms under which the address may be stored, each once: first as earlier versions folded this spelling, then
    /// [`Email::folded`], then as they folded the usual spellings of the same mailbox, with the domain in Unicode or in
    /// Punycode, and quoted or not.
    ///
    /// The spelling itself comes first, because earlier versions took two spellings for two accounts.
    #[must_use]
    pub fn lookup_forms(&self) -> Vec<String> {
        let before = self.folded_before();
        let Some(canonical) = canonical(&before) else { return vec![before] };
        let mut forms = vec![before, canonical.clone()];
        if let Some((local, domain)) = canonical.rsplit_once('@') {
            let (unicode, _) = Uts46::new().to_unicode(domain.as_bytes(), DENIED, HYPHENS);
            let spellings = [local.to_owned(), quoted(&unquoted(local))];
            forms.extend(
                spellings.iter().flat_map(|local| [domain, &unicode].map(|domain| format!("{local}@{domain}"))),
            );
        }
        let mut unique = Vec::with_capacity(forms.len());
        for form in forms {
            if !unique.contains(&form) {
                unique.push(form);
            }
        }
        unique
    }
}

/// ASCII that no domain has: all but letters, digits and hyphens.
const DENIED: AsciiDenyList = AsciiDenyList::STD3;
const HYPHENS: Hyphens = Hyphens::CheckFirstLast;

/// Returns the canonical form of a folded address; none if its domain can't exist.
fn canonical(folded: &str) -> Option<String> {
    let (local, domain) = folded.rsplit_once('@')?;
    let domain = Uts46::new().to_ascii(domain.as_bytes(), DENIED, HYPHENS, DnsLength::Verify).ok()?;
    // Σ is σ in lower case, and ς at the end of a word: they are one letter.
    let local = unquoted(local).replace('ς', "σ");
    let local = if is_dot_atom(&local) { local } else { quoted(&local) };
    let address = format!("{local}@{domain}");
    (fits(&address) && is_address(&address)).then_some(address)
}

/// Returns the content of a local part: without quotes, and without the backslashes of quoted pairs.
fn unquoted(local: &str) -> String {
    let Some(inner) = local.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else { return local.to_owned() };
    let mut content = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        content.extend(if c == '\\' { chars.next() } else { Some(c) });
    }
    // What the backslashes had kept apart may compose.
    fold(&content)
}

/// Returns a content in quotes, with as few quoted pairs as it needs.
fn quoted(content: &str) -> String {
    let mut local = String::with_capacity(content.len() + 2);
    local.push('"');
    for c in content.chars() {
        if matches!(c, '"' | '\\') {
            local.push('\\');
        }
        local.push(c);
    }
    local.push('"');
    local
}

/// Returns whether a content needs no quotes (`Dot-string`, with RFC 6531's characters beyond ASCII).
fn is_dot_atom(content: &str) -> bool {
    let is_atext = |c: char| !c.is_ascii() || c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c);
    content.split('.').all(|atom| !atom.is_empty() && atom.chars().all(is_atext))
}

fn fits(form: &str) -> bool {
    form.chars().count() <= MAX_LEN
}

fn is_address(form: &str) -> bool {
    let options = Options::default().without_display_text().without_domain_literal().with_required_tld();
    EmailAddress::parse_with_options(form, options).is_ok()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn email(text: &str) -> Email {
        text.parse().unwrap_or_else(|error| panic!("{text} {error}"))
    }

    /// Spellings of one mailbox each; its canonical form comes first.
    const SPELLINGS: [&[&str]; 8] = [
        &[
            "asha@example.org",
            "ASHA@Example.ORG",
            "ａｓｈａ@example.org",
            "\"asha\"@example.org",
            "\"a\\s\\ha\"@EXAMPLE.org",
        ],
        &[
            "asha@xn--exmple-cua.org",
            "asha@exämple.org",
            "asha@EXÄMPLE.org",
            "asha@exa\u{308}mple.org",
            "asha@XN--EXMPLE-CUA.org",
            "\"Asha\"@exämple.org",
            "asha@ex\u{ad}ämple.org",
        ],
        &["asha@mail.xn--strae-oqa.example", "asha@mail。straße.example", "asha@mail．STRAẞE.example"],
        &["asha@xn--j2bd4cyah0f.xn--h2brj9c", "asha@हिन्दी.भारत"],
        &["νίκοσ@example.org", "νίκος@example.org", "ΝΊΚΟΣ@example.org"],
        &["zoë@example.org", "ZOË@example.org", "zoe\u{308}@example.org"],
        &["\"a..b\"@example.org", "\"A.\\.B\"@example.org"],
        &["\"a\\\"\\\\b\"@example.org", "\"\\a\\\"\\\\\\b\"@EXAMPLE.org"],
    ];

    #[test]
    fn spellings_of_one_mailbox_fold_to_one_form() {
        let mut forms = BTreeSet::new();
        for spellings in SPELLINGS {
            for spelling in spellings {
                assert_eq!(email(spelling).folded(), spellings[0], "{spelling}");
                assert_eq!(email(spelling).as_str(), spelling.replace("e\u{308}", "ë").replace("a\u{308}", "ä"));
                assert!(email(spelling).with_valid_domain().is_ok(), "{spelling}");
            }
            assert!(forms.insert(spellings[0]), "other mailboxes have other forms");
        }
        for (one, other) in [
            ("a@strasse.example", "a@straße.example"),
            ("a@faß.example", "a@fass.example"),
            ("a.b@example.org", "ab@example.org"),
            ("zoe@example.org", "zoë@example.org"),
        ] {
            assert_ne!(email(one).folded(), email(other).folded(), "{one}");
        }
    }

    #[test]
    fn lookup_forms_begin_with_typed_spelling() {
        for (typed, forms) in [
            ("Asha@Example.org", &["asha@example.org", "\"asha\"@example.org"][..]),
            ("\"Asha\"@example.org", &["\"asha\"@example.org", "asha@example.org"]),
            ("\"a\\sha\"@example.org", &["\"a\\sha\"@example.org", "asha@example.org", "\"asha\"@example.org"]),
            (
                "asha@EXÄMPLE.org",
                &["asha@exämple.org", "asha@xn--exmple-cua.org", "\"asha\"@xn--exmple-cua.org", "\"asha\"@exämple.org"],
            ),
            (
                "asha@mail。exämple.org",
                &[
                    "asha@mail。exämple.org",
                    "asha@mail.xn--exmple-cua.org",
                    "asha@mail.exämple.org",
                    "\"asha\"@mail.xn--exmple-cua.org",
                    "\"asha\"@mail.exämple.org",
                ],
            ),
            ("asha@under_score.org", &["asha@under_score.org"]),
        ] {
            assert_eq!(email(typed).lookup_forms(), forms, "{typed}");
        }
    }

    /// Earlier versions took them, so their owners log in; new accounts don't get them.
    #[test]
    fn domain_that_cannot_exist_is_compared_as_before() {
        for text in ["a@under_score.org", "a@xn--zzzzzzzz.org", "A@ex!ample.org", "a@XN--a.org", "a@xn--exämple.org"] {
            let address = email(text);
            assert_eq!(address.folded(), text.to_lowercase());
            assert_eq!(address.lookup_forms(), [text.to_lowercase()]);
            assert!(address.with_valid_domain().is_err(), "{text}");
        }
        assert_eq!(Email::from_stored("no address".to_owned()).folded(), "no address");
    }

    #[test]
    fn domain_too_long_in_ascii_is_refused() {
        let label = "ä".repeat(31);
        assert!(email(&format!("a@{label}.org")).with_valid_domain().is_ok());
        let domain = vec![label; 8].join(".");
        assert!(format!("a@{domain}.org").chars().count() > MAX_LEN);
        let domain = vec!["ä".repeat(30); 7].join(".");
        let long = format!("a@{domain}.org");
        assert!(long.chars().count() < MAX_LEN);
        assert!(long.parse::<Email>().and_then(Email::with_valid_domain).is_err());
    }

    prop_compose! {
        /// Addresses in any of their spellings.
        fn addresses()(
            local in r#"[a-zA-ZéßÄσςİ\u{301}.+'\\"@-]{1,8}"#,
            is_quoted: bool,
            domain in r"[a-zA-ZäÄßẞöςİ\u{301}\u{ad}\u{94d}。．.हिन्दी_-]{1,10}",
        ) -> String {
            if is_quoted { format!("\"{local}\"@{domain}.org") } else { format!("{local}@{domain}.org") }
        }
    }

    proptest! {
        #[test]
        fn folding_an_address_is_idempotent(text in addresses()) {
            let Ok(address) = text.parse::<Email>() else { return Ok(()) };
            let folded = address.folded();
            prop_assert!(fits(&folded));
            prop_assert_eq!(email(&folded).folded(), folded.clone());
            prop_assert_eq!(email(&folded).with_valid_domain().is_ok(), address.clone().with_valid_domain().is_ok());
            // Whichever form it is found by, it is the same mailbox.
            let forms = address.lookup_forms();
            prop_assert_eq!(&forms[0], &address.folded_before());
            prop_assert!(forms.contains(&folded));
            for form in forms {
                prop_assert_eq!(Email::from_stored(form).folded(), folded.clone());
            }
        }

        /// Another reader of UTS #46 sees the same domain.
        #[test]
        fn valid_domain_folds_to_its_ascii_form(label in "[a-zäöüßéσа-яא-ת一-龥ก-ฮ]{1,12}") {
            let ascii = idna::domain_to_ascii_strict(&format!("{label}.example"));
            let folded = format!("a@{label}.example").parse::<Email>().and_then(Email::with_valid_domain);
            prop_assert_eq!(folded.ok().map(|address| address.folded()), ascii.ok().map(|domain| format!("a@{domain}")));
        }
    }
}
