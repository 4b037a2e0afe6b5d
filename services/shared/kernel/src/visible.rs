//! Characters of a text that show nothing, or that change its direction.

use icu_properties::props::{
    BidiClass, BinaryProperty as _, DefaultIgnorableCodePoint, EnumeratedProperty as _, GeneralCategory,
};

/// Characters that are blank although Unicode gives them the category of a visible one: the braille pattern without a
/// dot, the Khitan filler and the null notehead.
const BLANK: [char; 3] = ['\u{2800}', '\u{16fe4}', '\u{1d159}'];

/// Returns whether a text shows nothing: only white space, format characters (Cf), blank ones and those that Unicode
/// ignores by default.
#[must_use]
pub fn is_blank(text: &str) -> bool {
    let shows_nothing = |c: char| {
        c.is_whitespace()
            || is_ignorable(c)
            || GeneralCategory::for_char(c) == GeneralCategory::Format
            || BLANK.contains(&c)
    };
    text.chars().all(shows_nothing)
}

/// Returns whether a character is shown as nothing where it is not supported (Default_Ignorable_Code_Point), such as a
/// joiner or a soft hyphen.
pub(crate) fn is_ignorable(c: char) -> bool {
    DefaultIgnorableCodePoint::for_char(c)
}

/// Returns whether a character embeds, overrides or isolates the direction of the text after it (explicit directional
/// formatting, UAX #9). The implicit directional marks, which belong into names, don't.
pub(crate) fn is_directional(c: char) -> bool {
    use BidiClass as Class;
    [
        Class::LeftToRightEmbedding,
        Class::RightToLeftEmbedding,
        Class::LeftToRightOverride,
        Class::RightToLeftOverride,
        Class::PopDirectionalFormat,
        Class::LeftToRightIsolate,
        Class::RightToLeftIsolate,
        Class::FirstStrongIsolate,
        Class::PopDirectionalIsolate,
    ]
    .contains(&Class::for_char(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_shows_nothing_is_blank() {
        for blank in [
            "",
            " \t\n",
            "\u{a0}",
            "\u{2003}\u{3000}",
            "\u{ad}",
            "\u{34f}",
            "\u{61c}",
            "\u{115f}",
            "\u{180e}",
            "\u{200b}",
            "\u{200c}\u{200d}",
            "\u{200e} \u{200f}",
            "\u{202e}",
            "\u{2060}",
            "\u{2800}",
            "\u{3164}",
            "\u{fe0f}",
            "\u{feff}",
            "\u{ffa0}",
            "\u{fff9}",
            "\u{1d159}",
            "\u{e0020}",
        ] {
            assert!(is_blank(blank), "{blank:?}");
        }
        for shown in ["a", ".", "-", "_", "क्\u{200d}ष", "\u{200b}a", "❤\u{fe0f}", "\u{301}", "\u{7}", "\u{2801}"]
        {
            assert!(!is_blank(shown), "{shown:?}");
        }
    }

    #[test]
    fn explicit_formatting_is_directional_and_marks_are_not() {
        let directional: String = ('\0'..=char::MAX).filter(|c| is_directional(*c)).collect();
        assert_eq!(directional, "\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2066}\u{2067}\u{2068}\u{2069}");
    }
}
