//! Passwords: their rules (NIST SP 800-63B, section 3.1.1.2), and their hashing (Argon2id, RFC 9106) on its own
//! threads, so that logins never take more than their share of the machine.

mod hasher;
mod queue;

pub(crate) use hasher::Hasher;

use kernel::{FieldError, FieldReason};
use unicode_normalization::UnicodeNormalization as _;
use zeroize::Zeroizing;

/// Ten thousand of the most used passwords of at least twelve characters, in lower case, sorted.
const COMMON: &str = include_str!("../common_passwords.txt");

const SHORTEST: usize = 12;
const LONGEST: usize = 128;
/// Maximum bytes before normalisation: a longer text has too many characters, however it is written.
const LONGEST_IN_BYTES: usize = 4096;

/// A password as it is hashed: in one canonical form (NFKC), wiped from memory when dropped.
#[derive(PartialEq, Eq)]
pub(crate) struct Password(Zeroizing<String>);

impl Password {
    /// Parses a password to be verified: it may be wrong, but not longer than any password.
    pub(crate) fn offered(text: &str) -> Result<Self, FieldError> {
        if text.len() > LONGEST_IN_BYTES {
            return Err(FieldError::too_long(LONGEST));
        }
        let password = Self(Zeroizing::new(text.nfkc().collect()));
        match password.0.chars().count() {
            0 => Err(FieldError::REQUIRED),
            length if length > LONGEST => Err(FieldError::too_long(LONGEST)),
            _ => Ok(password),
        }
    }

    /// Parses a new password.
    pub(crate) fn chosen(text: &str) -> Result<Self, FieldError> {
        if text.is_empty() {
            return Err(FieldError::blank(SHORTEST, LONGEST));
        }
        let password = Self::offered(text)?;
        if password.0.chars().count() < SHORTEST {
            return Err(FieldError::too_short(SHORTEST, LONGEST));
        }
        if password.is_common() {
            return Err(FieldError::new(
                FieldReason::Unsuitable,
                "is one of the common passwords: choose one that nobody else has",
            ));
        }
        Ok(password)
    }

    fn is_common(&self) -> bool {
        let lower = Zeroizing::new(self.0.to_lowercase());
        let first = lower.chars().next();
        lower.chars().all(|c| Some(c) == first) || contains_line(COMMON, &lower)
    }

    fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// Returns whether a sorted text has this line: by bisection on the text itself, which costs no memory beside it.
fn contains_line(sorted: &str, line: &str) -> bool {
    let (mut low, mut high) = (0, sorted.len());
    while low < high {
        let middle = low + (high - low) / 2;
        let start = sorted.as_bytes()[..middle].iter().rposition(|&b| b == b'\n').map_or(0, |at| at + 1);
        let end = sorted.as_bytes()[middle..].iter().position(|&b| b == b'\n').map_or(sorted.len(), |at| middle + at);
        match sorted.as_bytes()[start..end].cmp(line.as_bytes()) {
            std::cmp::Ordering::Equal => return true,
            std::cmp::Ordering::Less => low = end + 1,
            std::cmp::Ordering::Greater => high = start.saturating_sub(1),
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn password_length_and_commonness_are_checked() {
        for good in ["correct horse battery", "zwölf Zeichen", &"ab".repeat(64)] {
            assert!(Password::chosen(good).is_ok(), "{good}");
        }
        let common = COMMON.lines().nth(1234).unwrap().to_uppercase();
        for bad in ["", "elf zeichen", &"ab".repeat(65), "aaaaaaaaaaaaaaaa", "qwertyqwerty", &common] {
            assert!(Password::chosen(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn common_password_lookup_is_exact() {
        assert!(COMMON.lines().is_sorted());
        assert_eq!(COMMON.lines().count(), 10_000);
        for line in COMMON.lines() {
            assert!(contains_line(COMMON, line), "{line}");
            assert!(!contains_line(COMMON, &format!("{line}\u{1}")), "{line}");
        }
        assert!(!contains_line("", "a") && !contains_line(COMMON, ""));
    }
}
