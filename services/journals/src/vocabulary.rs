//! The vocabulary of emotions: ten families, each from light to strong.

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::model::Emotion;

/// Version of the vocabulary, which changes with any word.
pub(crate) const VERSION: &str = "2026-11";

/// Number of families.
pub(crate) const FAMILIES: usize = 10;

/// The words of one family.
pub(crate) struct Words {
    pub(crate) name: &'static str,
    pub(crate) light: &'static [&'static str],
    pub(crate) medium: &'static [&'static str],
    pub(crate) strong: &'static [&'static str],
}

/// A family of emotions, by its index in [`VOCABULARY`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Family(usize);

/// The vocabulary. Words are unique, including the names of families.
pub(crate) static VOCABULARY: [Words; FAMILIES] = [
    Words {
        name: "happiness",
        light: &["pleased", "content", "at ease", "cheerful", "glad", "hopeful"],
        medium: &["happy", "joyful", "grateful", "delighted", "lively", "proud"],
        strong: &["overjoyed", "elated", "ecstatic", "euphoric", "blissful", "radiant"],
    },
    Words {
        name: "caring",
        light: &["friendly", "kind", "warm", "interested", "considerate", "patient"],
        medium: &["fond", "affectionate", "tender", "compassionate", "protective", "trusting"],
        strong: &["loving", "adoring", "cherishing", "devoted", "smitten", "passionate"],
    },
    Words {
        name: "depression",
        light: &["flat", "low", "subdued", "listless", "gloomy", "disappointed"],
        medium: &["sad", "dejected", "discouraged", "downcast", "weary", "tearful"],
        strong: &["hopeless", "despairing", "numb", "desolate", "miserable", "empty"],
    },
    Words {
        name: "inadequacy",
        light: &["unsure of myself", "hesitant", "shy", "clumsy", "out of my depth", "second best"],
        medium: &["not good enough", "incapable", "inept", "ineffective", "outclassed", "insufficient"],
        strong: &["worthless", "useless", "powerless", "a failure", "inferior", "helpless"],
    },
    Words {
        name: "fear",
        light: &["uneasy", "nervous", "wary", "tense", "apprehensive", "jittery"],
        medium: &["afraid", "anxious", "worried", "alarmed", "threatened", "shaken"],
        strong: &["terrified", "panicked", "horrified", "petrified", "frantic", "in dread"],
    },
    Words {
        name: "confusion",
        light: &["unsure", "puzzled", "undecided", "distracted", "uncertain", "of two minds"],
        medium: &["confused", "mixed up", "torn", "perplexed", "adrift", "foggy"],
        strong: &["bewildered", "lost", "overwhelmed", "disoriented", "baffled", "in turmoil"],
    },
    Words {
        name: "hurt",
        light: &["let down", "slighted", "stung", "unappreciated", "touchy", "snubbed"],
        medium: &["wounded", "offended", "belittled", "used", "neglected", "mistreated"],
        strong: &["betrayed", "devastated", "heartbroken", "humiliated", "crushed", "shattered"],
    },
    Words {
        name: "anger",
        light: &["annoyed", "irritated", "impatient", "grumpy", "bothered", "miffed"],
        medium: &["angry", "cross", "frustrated", "indignant", "resentful", "fed up"],
        strong: &["furious", "enraged", "seething", "outraged", "livid", "hateful"],
    },
    Words {
        name: "loneliness",
        light: &["left out", "apart", "distant", "homesick", "unnoticed", "reserved"],
        medium: &["lonely", "excluded", "alienated", "cut off", "unwanted", "estranged"],
        strong: &["abandoned", "forsaken", "isolated", "utterly alone", "invisible", "rejected"],
    },
    Words {
        name: "remorse",
        light: &["sorry", "regretful", "uncomfortable", "apologetic", "rueful", "sheepish"],
        medium: &["guilty", "ashamed", "embarrassed", "at fault", "contrite", "self-critical"],
        strong: &["remorseful", "mortified", "disgraced", "unforgivable", "full of self-blame", "guilt-ridden"],
    },
];

/// Index of the words and the names of families, folded.
static WORDS: LazyLock<HashMap<&'static str, Family>> = LazyLock::new(|| {
    let of = |(number, words): (usize, &Words)| all(words).map(move |word| (word, Family(number)));
    VOCABULARY.iter().enumerate().flat_map(of).collect()
});

fn all(words: &Words) -> impl Iterator<Item = &'static str> + use<> {
    let Words { name, light, medium, strong } = words;
    std::iter::once(*name).chain([*light, *medium, *strong].into_iter().flatten().copied())
}

impl Family {
    /// Returns the family of an emotion in any case and width; `None` for a word of the client's own.
    pub(crate) fn of(emotion: &Emotion) -> Option<Self> {
        // Most are spelt as the vocabulary spells them.
        WORDS.get(emotion.as_str()).or_else(|| WORDS.get(&*emotion.folded())).copied()
    }

    /// Returns the family of a folded name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        VOCABULARY.iter().position(|words| words.name == name).map(Self)
    }

    pub(crate) fn name(self) -> &'static str {
        VOCABULARY.get(self.0).map_or("", |words| words.name)
    }

    /// Returns the index in the vocabulary.
    pub(crate) const fn index(self) -> usize {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_unique_and_folded() {
        let words: Vec<_> = VOCABULARY.iter().flat_map(all).collect();
        assert_eq!(WORDS.len(), words.len(), "words are unique");
        for word in words {
            assert_eq!(word.parse::<Emotion>().unwrap().folded(), word);
        }
        for Words { name, light, medium, strong } in &VOCABULARY {
            for words in [light, medium, strong] {
                assert!((5..=8).contains(&words.len()), "{name}");
            }
        }
    }

    #[test]
    fn word_has_its_family_in_any_case_and_width() {
        for (word, family) in [
            ("furious", Some("anger")),
            ("FURIOUS", Some("anger")),
            ("Ｆｕｒｉｏｕｓ", Some("anger")),
            ("At  Ease", Some("happiness")),
            ("Loneliness", Some("loneliness")),
            ("saudade", None),
        ] {
            assert_eq!(Family::of(&word.parse().unwrap()).map(Family::name), family, "{word}");
        }
        assert_eq!(Family::named("anger").map(Family::name), Some("anger"));
        assert_eq!(Family::named("furious"), None);
    }
}
