//! Folds case, diacritics and compatibility forms, so that spellings of one word become equal.

use std::ops::Range;

use icu_casemap::{CaseMapper, CaseMapperBorrowed};
use icu_normalizer::{
    ComposingNormalizer, ComposingNormalizerBorrowed, DecomposingNormalizer, DecomposingNormalizerBorrowed,
};

use super::characters::{
    JOINER, ZERO_WIDTH_SPACE, is_composing_letter, is_diacritic, is_ignorable, is_mark, is_pictograph,
};

const CASE: CaseMapperBorrowed<'static> = CaseMapper::new();
const NFC: ComposingNormalizerBorrowed<'static> = ComposingNormalizer::new_nfc();
const NFKD: DecomposingNormalizerBorrowed<'static> = DecomposingNormalizer::new_nfkd();

/// A folded character, and the code points of the source that it stands for.
pub(super) struct Folded {
    pub(super) character: char,
    pub(super) source: Range<usize>,
}

/// Folds a text: Unicode's full case folding over NFKD, without diacritics, in NFC.
///
/// It is composed again because dictionaries hold composed words, and so that a letter is one character.
pub(super) fn fold(text: &str) -> Vec<Folded> {
    let mut folder = Folder { folded: Vec::with_capacity(text.len()), pictograph_joins: false };
    let mut characters = text.chars().enumerate().peekable();
    let mut cluster = String::new();
    while let Some((start, first)) = characters.next() {
        cluster.clear();
        cluster.push(first);
        let mut end = start + 1;
        while let Some((at, next)) = characters.next_if(|(_, next)| !first.is_control() && extends_cluster(*next)) {
            cluster.push(next);
            end = at + 1;
        }
        folder.push_cluster(&cluster, &(start..end));
    }
    folder.folded
}

/// Returns whether a character composes with those before it, or is lost among them.
fn extends_cluster(c: char) -> bool {
    let composes = |c| is_mark(c) || is_composing_letter(c);
    !c.is_ascii() && (is_ignorable(c) || NFKD.normalize_iter([c].into_iter()).next().is_some_and(composes))
}

/// Returns the folded spelling of a character that Unicode doesn't decompose.
fn spelling(c: char) -> Option<&'static str> {
    const TATWEEL: char = '\u{640}';
    Some(match c {
        // Keyboards that lack these write them so.
        'ø' => "o",
        'đ' => "d",
        'ł' => "l",
        'ħ' => "h",
        'ŧ' => "t",
        'ı' => "i",
        'æ' => "ae",
        'œ' => "oe",
        // The apostrophe that is typed, in place of the one that is printed.
        '\u{2019}' | '\u{2bb}' | '\u{2bc}' => "'",
        TATWEEL => "",
        _ => return None,
    })
}

struct Folder {
    folded: Vec<Folded>,
    /// True if a joiner follows the last character, a pictograph.
    pictograph_joins: bool,
}

impl Folder {
    fn push_cluster(&mut self, cluster: &str, source: &Range<usize>) {
        if let [byte] = cluster.as_bytes() {
            return self.push(char::from(byte.to_ascii_lowercase()), source);
        }
        // They end a word: in NFKD they would be letters of it.
        if cluster.starts_with(['™', '℠', ZERO_WIDTH_SPACE]) {
            return self.push(' ', source);
        }
        let cased = NFKD.normalize(cluster);
        let cased = CASE.fold_string(&cased);
        let decomposed = NFKD.normalize(&cased);
        let mut kept = String::with_capacity(decomposed.len());
        for c in decomposed.chars() {
            if let Some(spelling) = spelling(c) {
                kept.push_str(spelling);
            } else if c == JOINER && kept.ends_with(is_pictograph) || !is_diacritic(c) && !is_ignorable(c) {
                kept.push(c);
            }
        }
        for c in NFC.normalize(&kept).chars() {
            self.push(c, source);
        }
    }

    fn push(&mut self, c: char, source: &Range<usize>) {
        if c == JOINER {
            self.pictograph_joins = true;
            return;
        }
        if std::mem::take(&mut self.pictograph_joins) && is_pictograph(c) {
            self.add(JOINER, source.clone());
        }
        match c {
            '\u{e32}' => self.push_aa(c, '\u{e4d}', '\u{e48}'..='\u{e4b}', '\u{e33}', source),
            '\u{eb2}' => self.push_aa(c, '\u{ecd}', '\u{ec8}'..='\u{ecb}', '\u{eb3}', source),
            _ => self.add(c, source.clone()),
        }
    }

    fn add(&mut self, character: char, source: Range<usize>) {
        self.folded.push(Folded { character, source });
    }

    /// Adds the vowel AA of Thai or Lao, or the vowel AM if a nikhahit precedes it, maybe with a tone between them.
    ///
    /// NFKD decomposes AM, nothing composes it again, and dictionaries hold it composed.
    fn push_aa(
        &mut self,
        aa: char,
        nikhahit: char,
        tones: std::ops::RangeInclusive<char>,
        am: char,
        source: &Range<usize>,
    ) {
        let tone = self.folded.pop_if(|last| tones.contains(&last.character));
        // A tone that would come to stand behind another mark might have to change places with it.
        let may_compose = tone.is_none() || !self.folded.iter().rev().nth(1).is_some_and(|it| is_mark(it.character));
        let nikhahit = self.folded.pop_if(|last| may_compose && last.character == nikhahit);
        let start = nikhahit.as_ref().map_or(source.start, |nikhahit| nikhahit.source.start);
        self.folded.extend(tone);
        self.add(if nikhahit.is_some() { am } else { aa }, start..source.end);
    }
}
