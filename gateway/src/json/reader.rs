//! A pull reader of JSON. Ours, because reading a request must go on after a value of the wrong type (every bad field
//! is named at once), keep the text of a number until its field says what it is, and stop at a depth.

use std::borrow::Cow;

/// Maximum nesting of objects and arrays: protobuf's own limit.
const MAX_DEPTH: usize = 100;

/// Kind of the next value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token {
    Object,
    Array,
    String,
    Number,
    True,
    False,
    Null,
}

/// The text is no JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed {
    /// The offset of the byte that can't stand there.
    at: usize,
    /// Fault, as the end of a sentence.
    pub(crate) why: &'static str,
}

impl Malformed {
    pub(crate) const fn new(at: usize, why: &'static str) -> Self {
        Self { at, why }
    }

    /// Line and column, both from one; the column in bytes.
    pub(crate) fn position(&self, text: &[u8]) -> (usize, usize) {
        let before = &text[..self.at.min(text.len())];
        let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
        (before.iter().filter(|byte| **byte == b'\n').count() + 1, before.len() - line_start + 1)
    }
}

/// Reads one JSON text from front to back.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(text: &'a str) -> Self {
        Self { text, at: 0, depth: 0 }
    }

    /// Returns the kind of the next value.
    pub(crate) fn peek(&mut self) -> Result<Token, Malformed> {
        self.skip_space();
        match self.byte() {
            Some(b'{') => Ok(Token::Object),
            Some(b'[') => Ok(Token::Array),
            Some(b'"') => Ok(Token::String),
            Some(b'-' | b'0'..=b'9') => Ok(Token::Number),
            Some(b't') => Ok(Token::True),
            Some(b'f') => Ok(Token::False),
            Some(b'n') => Ok(Token::Null),
            _ => self.fail("a value is expected"),
        }
    }

    /// Enters the object or array that was peeked.
    pub(crate) fn enter(&mut self) -> Result<(), Malformed> {
        if self.depth == MAX_DEPTH {
            return self.fail("it is nested too deeply");
        }
        self.depth += 1;
        self.at += 1;
        Ok(())
    }

    /// The next key of the object that was entered; none at its end. `first` says that none was read yet.
    pub(crate) fn next_key(&mut self, first: bool) -> Result<Option<Cow<'a, str>>, Malformed> {
        if !self.next_member(first, b'}')? {
            return Ok(None);
        }
        if self.byte() != Some(b'"') {
            return self.fail("a name in quotes is expected");
        }
        let key = self.string()?;
        self.skip_space();
        if self.byte() != Some(b':') {
            return self.fail("a colon is expected");
        }
        self.at += 1;
        Ok(Some(key))
    }

    /// Returns whether the array that was entered has another item. `first` says that none was read yet.
    pub(crate) fn next_item(&mut self, first: bool) -> Result<bool, Malformed> {
        self.next_member(first, b']')
    }

    fn next_member(&mut self, first: bool, end: u8) -> Result<bool, Malformed> {
        self.skip_space();
        match self.byte() {
            Some(byte) if byte == end => {
                self.at += 1;
                self.depth -= 1;
                return Ok(false);
            }
            Some(_) if first => return Ok(true),
            Some(b',') => {}
            _ => return self.fail("a comma or the end of the object or array is expected"),
        }
        self.at += 1;
        self.skip_space();
        if self.byte() == Some(end) { self.fail("nothing follows the comma") } else { Ok(true) }
    }

    /// The string that was peeked.
    pub(crate) fn string(&mut self) -> Result<Cow<'a, str>, Malformed> {
        let start = self.at + 1;
        self.at = start;
        self.plain_run();
        if self.byte() == Some(b'"') {
            self.at += 1;
            return Ok(Cow::Borrowed(&self.text[start..self.at - 1]));
        }
        let mut unescaped = self.text[start..self.at].to_owned();
        loop {
            match self.byte() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(Cow::Owned(unescaped));
                }
                Some(b'\\') => unescaped.push(self.escape()?),
                Some(_) => return self.fail("a control character must be escaped"),
                None => return self.fail("the string does not end"),
            }
            let run = self.at;
            self.plain_run();
            unescaped.push_str(&self.text[run..self.at]);
        }
    }

    /// Skips to the next quote, backslash or control character.
    fn plain_run(&mut self) {
        let rest = &self.text.as_bytes()[self.at..];
        self.at += rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | ..0x20)).unwrap_or(rest.len());
    }

    fn escape(&mut self) -> Result<char, Malformed> {
        self.at += 1;
        let character = match self.byte() {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode(),
            _ => return self.fail("the escape is unknown"),
        };
        self.at += 1;
        Ok(character)
    }

    /// Reads `\uXXXX`, or two of them for a surrogate pair.
    fn unicode(&mut self) -> Result<char, Malformed> {
        let high = self.four_digits()?;
        let mut code = high;
        if (0xd800..0xdc00).contains(&high) {
            if self.text.as_bytes().get(self.at) != Some(&b'\\') {
                return self.fail("half of a surrogate pair is missing");
            }
            self.at += 1;
            let low = self.four_digits()?;
            if !(0xdc00..0xe000).contains(&low) {
                return self.fail("half of a surrogate pair is missing");
            }
            code = 0x10000 + (high - 0xd800) * 0x400 + (low - 0xdc00);
        }
        char::from_u32(code).map_or_else(|| self.fail("half of a surrogate pair is missing"), Ok)
    }

    /// The digits behind a `u`.
    fn four_digits(&mut self) -> Result<u32, Malformed> {
        if self.byte() != Some(b'u') {
            return self.fail("half of a surrogate pair is missing");
        }
        let digits = self.text.as_bytes().get(self.at + 1..self.at + 5).unwrap_or_default();
        if digits.len() != 4 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return self.fail("four hexadecimal digits are expected");
        }
        self.at += 5;
        Ok(digits.iter().fold(0, |code, digit| code * 16 + char::from(*digit).to_digit(16).unwrap_or_default()))
    }

    /// The text of the number that was peeked.
    pub(crate) fn number(&mut self) -> Result<&'a str, Malformed> {
        let rest = &self.text[self.at..];
        let length = number_length(rest.as_bytes());
        if length == 0 {
            return self.fail("the number is malformed");
        }
        self.at += length;
        Ok(&rest[..length])
    }

    /// The `true`, `false` or `null` that was peeked.
    pub(crate) fn literal(&mut self, literal: &str) -> Result<(), Malformed> {
        if !self.text.as_bytes()[self.at..].starts_with(literal.as_bytes()) {
            return self.fail("a value is expected");
        }
        self.at += literal.len();
        Ok(())
    }

    /// Skips the next value of any kind.
    pub(crate) fn skip(&mut self) -> Result<(), Malformed> {
        match self.peek()? {
            Token::String => self.string().map(drop),
            Token::Number => self.number().map(drop),
            Token::True => self.literal("true"),
            Token::False => self.literal("false"),
            Token::Null => self.literal("null"),
            Token::Object => {
                self.enter()?;
                let mut first = true;
                while self.next_key(first)?.is_some() {
                    first = false;
                    self.skip()?;
                }
                Ok(())
            }
            Token::Array => {
                self.enter()?;
                let mut first = true;
                while self.next_item(first)? {
                    first = false;
                    self.skip()?;
                }
                Ok(())
            }
        }
    }

    /// Checks that nothing but white space is left.
    pub(crate) fn end(&mut self) -> Result<(), Malformed> {
        self.skip_space();
        if self.at == self.text.len() { Ok(()) } else { self.fail("something follows the value") }
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.byte() {
            self.at += 1;
        }
    }

    const fn fail<T>(&self, why: &'static str) -> Result<T, Malformed> {
        Err(Malformed::new(self.at, why))
    }
}

/// Returns whether a text is a JSON number.
pub(crate) fn is_number(text: &str) -> bool {
    !text.is_empty() && number_length(text.as_bytes()) == text.len()
}

/// The length of the number that the text begins with, 0 if it begins with none.
fn number_length(text: &[u8]) -> usize {
    let digits = |from: usize| text[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut at = usize::from(text.first() == Some(&b'-'));
    let whole = digits(at);
    if whole == 0 || whole > 1 && text[at] == b'0' {
        return 0;
    }
    at += whole;
    if text.get(at) == Some(&b'.') {
        let fraction = digits(at + 1);
        if fraction == 0 {
            return 0;
        }
        at += 1 + fraction;
    }
    if let Some(b'e' | b'E') = text.get(at) {
        let sign = usize::from(matches!(text.get(at + 1), Some(b'+' | b'-')));
        let exponent = digits(at + 1 + sign);
        if exponent == 0 {
            return 0;
        }
        at += 1 + sign + exponent;
    }
    at
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn accepts(text: &str) -> Result<(), Malformed> {
        let mut reader = Reader::new(text);
        reader.skip()?;
        reader.end()
    }

    proptest! {
        #[test]
        fn reader_accepts_same_texts_as_serde_json(text in r#"([\[\]{},:"\\ue0-9.\-+ a\n]|true|null|\\u[dD][89cCfF]00|"a":){0,12}"#) {
            let other = serde_json::from_str::<serde_json::Value>(&text).is_ok_and(|_| true);
            // serde_json reads numbers as floats and rejects those that are too large; our reader leaves the range to the field.
            let too_large = serde_json::from_str::<serde_json::Value>(&text)
                .is_err_and(|error| error.to_string().contains("out of range"));
            prop_assume!(!too_large);
            prop_assert_eq!(accepts(&text).is_ok(), other, "{:?}", text);
        }

        #[test]
        fn string_written_by_serde_json_reads_back(text in any::<String>()) {
            let written = serde_json::to_string(&text).unwrap();
            let mut reader = Reader::new(&written);
            prop_assert_eq!(reader.peek(), Ok(Token::String));
            prop_assert_eq!(reader.string().unwrap(), text.as_str());
            prop_assert_eq!(reader.end(), Ok(()));
        }
    }

    #[test]
    fn escapes_and_surrogate_pairs_are_decoded() {
        let mut reader = Reader::new(r#""\u00e4\ud83d\ude00\/\b\f\n\r\t\"\\""#);
        assert_eq!(reader.string().unwrap(), "ä😀/\u{8}\u{c}\n\r\t\"\\");
    }

    #[test]
    fn lone_surrogate_is_malformed() {
        for text in [r#""\ud83d""#, r#""\ud83d\n""#, r#""\ud83d\ud83d""#, r#""\ude00""#, r#""\ud83dx""#] {
            assert!(accepts(text).is_err(), "{text}");
        }
    }

    #[test]
    fn nesting_beyond_100_levels_is_rejected() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert_eq!(accepts(&nested(100)), Ok(()));
        assert_eq!(accepts(&nested(101)).unwrap_err().why, "it is nested too deeply");
        assert_eq!(accepts(&nested(100_000)).unwrap_err().why, "it is nested too deeply");
    }

    #[test]
    fn fault_has_line_and_column() {
        let text = "{\n  \"a\": 1,\n  \"b\": ?\n}";
        assert_eq!(accepts(text).unwrap_err().position(text.as_bytes()), (3, 8));
    }
}
