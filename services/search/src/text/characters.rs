//! Classes of characters that folding and word boundaries depend on.

use icu_properties::props::{
    DefaultIgnorableCodePoint, EmojiModifier, ExtendedPictographic, GeneralCategory, GeneralCategoryGroup,
    GraphemeClusterBreak, LineBreak, RegionalIndicator, Script,
};
use icu_properties::{CodePointMapData, CodePointSetData};

/// Joins pictographs into one.
pub(super) const JOINER: char = '\u{200d}';
/// Marks a boundary of words in scripts that write no spaces.
pub(super) const ZERO_WIDTH_SPACE: char = '\u{200b}';

/// Returns whether this is an accent, a point or a vowel sign that readers of its script can do without.
///
/// Marks of other scripts are letters: a Devanagari word without its vowel signs is another word, and so is a Japanese
/// one without its voicing marks.
pub(super) fn is_diacritic(c: char) -> bool {
    const VOICING: std::ops::RangeInclusive<char> = '\u{3099}'..='\u{309a}';
    const DEVANAGARI_NUKTA: char = '\u{93c}';
    // All but a dozen marks of these scripts, and of no script in particular, are Inherited.
    const SCRIPTS: [Script; 6] =
        [Script::Inherited, Script::Latin, Script::Greek, Script::Cyrillic, Script::Hebrew, Script::Arabic];
    let is_optional = || SCRIPTS.contains(&CodePointMapData::<Script>::new().get(c)) && !VOICING.contains(&c);
    matches!(category(c), GeneralCategory::NonspacingMark | GeneralCategory::EnclosingMark)
        && (c == DEVANAGARI_NUKTA || is_optional())
}

/// Returns whether this shows nothing of its own, or, as a skin tone, another shade of the same.
pub(super) fn is_ignorable(c: char) -> bool {
    c != ZERO_WIDTH_SPACE
        && (CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
            || CodePointSetData::new::<EmojiModifier>().contains(c))
}

/// Returns whether this is part of the character before it.
pub(super) fn is_mark(c: char) -> bool {
    GeneralCategoryGroup::Mark.contains(category(c))
}

/// Returns whether this is a vowel or a final consonant, as a letter that composes with the one before it.
pub(super) fn is_composing_letter(c: char) -> bool {
    matches!(CodePointMapData::<GraphemeClusterBreak>::new().get(c), GraphemeClusterBreak::V | GraphemeClusterBreak::T)
}

/// Returns whether this is an emoji or part of a flag.
pub(super) fn is_pictograph(c: char) -> bool {
    CodePointSetData::new::<ExtendedPictographic>().contains(c)
        || CodePointSetData::new::<RegionalIndicator>().contains(c)
}

/// Returns whether this is a letter of a script that is written without spaces, such as Thai or Japanese.
pub(super) fn is_unspaced(c: char) -> bool {
    const PROLONGED_SOUND: char = 'ー';
    let is_east_asian = || {
        let script = CodePointMapData::<Script>::new().get(c);
        matches!(script, Script::Han | Script::Hiragana | Script::Katakana) || c == PROLONGED_SOUND
    };
    let is_south_east_asian = || CodePointMapData::<LineBreak>::new().get(c) == LineBreak::ComplexContext;
    c.is_alphabetic() && (is_south_east_asian() || is_east_asian())
}

fn category(c: char) -> GeneralCategory {
    CodePointMapData::<GeneralCategory>::new().get(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_diacritics_or_letters_by_script() {
        for c in ['\u{301}', '\u{345}', '\u{483}', '\u{5b8}', '\u{64b}', '\u{654}', '\u{670}', '\u{6e1}', '\u{93c}'] {
            assert!(is_diacritic(c), "{c:?}");
        }
        for c in ['a', '\u{93f}', '\u{94d}', '\u{9bc}', '\u{e31}', '\u{e48}', '\u{1039}', '\u{17d2}', '\u{3099}'] {
            assert!(!is_diacritic(c), "{c:?}");
        }
    }

    #[test]
    fn scripts_without_spaces_are_known_by_their_letters() {
        for c in "東あアーกລខမ〇々".chars() {
            assert!(is_unspaced(c), "{c:?}");
        }
        for c in "aяשعद한1๑。😀_".chars() {
            assert!(!is_unspaced(c), "{c:?}");
        }
    }
}
