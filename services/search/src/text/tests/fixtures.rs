//! Texts and queries written from knowledge of the languages, not from what the segmenter answers.

use crate::Query;

struct Fixture {
    text: &'static str,
    hits: &'static [&'static str],
    misses: &'static [&'static str],
}

#[track_caller]
fn check(fixtures: &[Fixture]) {
    for Fixture { text, hits, misses } in fixtures {
        for (queries, expected) in [(hits, true), (misses, false)] {
            for written in *queries {
                let query = written.parse::<Query>().unwrap_or_else(|error| panic!("{written}: {error}"));
                assert_eq!(query.find(text).is_some(), expected, "{written} in {text}");
                assert!(!expected || query.terms().is_subset(&crate::terms(text)), "terms of {written} in {text}");
            }
        }
    }
}

#[test]
fn english_is_found_by_stems_prefixes_and_phrases() {
    check(&[Fixture {
        text: "I've been running; my mother's anxieties grew. Well-being isn't easy.\n“panic attack” at 3.5 km, snake_case",
        hits: &[
            "run",
            "RUNS",
            "mother",
            "mothers",
            "mother's",
            "mother’s",
            "anxiety",
            "anx*",
            "anxieties*",
            "anx*, run",
            "well-being",
            "WELL-BEINGS",
            "well being",
            "well-be*",
            "being well",
            "being * well",
            "isn't",
            "isn’t",
            "isn't*",
            "\"panic attack\"",
            "“panic attack”",
            "„panic attack“",
            "«panic attack»",
            "\"easy panic\"",
            "panic attacks",
            "\"attack panic",
            "run\"panic attack\"",
            "3.5",
            "case",
            "snake_ca*",
            "i",
            "my at been",
        ],
        misses: &[
            "ran",
            "wellbeing",
            "being-well",
            "anx",
            "unn*",
            "depression",
            "run depression",
            "\"panic attacks\"",
            "\"attack panic\"",
            "\"anx*\"",
            "\"panic\" \"well attack\"",
            "3,6",
        ],
    }]);
}

#[test]
fn latin_script_is_found_without_its_diacritics() {
    check(&[
        Fixture {
            text: "L'été dernier, j'ai pleuré à cause de ma sœur ; aujourd’hui, j'ai le cœur léger.",
            hits: &[
                "été",
                "ETE",
                "ete",
                "e\u{301}te\u{301}",
                "l’été",
                "soeur",
                "SŒUR",
                "\"coeur leger\"",
                "aujourd'hui",
                "pleu*",
                "cœu*",
            ],
            misses: &["hiver", "\"léger cœur\"", "frère", "ét", "l'hiver"],
        },
        Fixture {
            text: "Die Straße war voller Menschen, ich fühlte mich überfordert. GROSSE Angst!",
            hits: &["strasse", "STRASSE", "STRAẞE", "fuhlte", "überfor*", "uberfordert", "große", "angst mensch*"],
            misses: &["ruhe", "forder*", "fuehlte"],
        },
        Fixture {
            text: "Żółć i łzy: byłem w Łodzi u przyjaciół.",
            hits: &["zolc", "ŻÓŁĆ", "lzy", "lodzi", "łodzi", "przyjaciol"],
            misses: &["łódź", "przyjaciel", "Łodzią"],
        },
        Fixture {
            text: "Tôi cảm thấy buồn và lo lắng về công việc.",
            hits: &["buon", "buồn", "\"lo lắng\"", "lo lang", "CÔNG VIỆC", "cảm*"],
            misses: &["vui", "\"lắng lo\""],
        },
        Fixture {
            text: "Bugün ISPARTA'da, kalabalık içinde, ıssız hissettim. İyi günler",
            hits: &["ısparta", "isparta", "issiz", "KALABALIK", "icinde", "iyi", "İYİ"],
            misses: &["mutlu", "kalaba"],
        },
    ]);
}

#[test]
fn cyrillic_is_found() {
    check(&[
        Fixture {
            text: "Сегодня мне приснился ёжик, и тревога ушла. Счастье — это свобода!",
            hits: &["ежик", "ЁЖИК", "е\u{308}жик", "Тревога", "трев*", "счастье свобода", "\"и тревога ушла\""],
            misses: &["тревоги", "тре", "вога*", "радость", "\"ушла тревога\"", "счастье горе"],
        },
        Fixture {
            text: "Моє здоров’я краще: п'ять днів без паніки.",
            hits: &["здоров'я", "здоровʼя", "П’ЯТЬ", "паніки", "\"без паніки\""],
            misses: &["здоров'я погане", "п'ятниця"],
        },
    ]);
}

#[test]
fn arabic_and_hebrew_are_found_without_vowel_points() {
    check(&[
        Fixture {
            text: "أشعر بالقلق من العمل، وقلبي مُتْعَبٌ جدًّا. إنَّ الصَّبْرَ جَمِيلٌ",
            hits: &["اشعر", "أشعر", "متعب", "مُتعَب", "الصبر", "جميل", "جمـــيل", "ان", "جدا", "\"من العمل\"", "بالق*"],
            misses: &["فرح", "متع", "الصبور", "\"العمل من\""],
        },
        Fixture {
            text: "من می‌خواهم آرام باشم",
            hits: &["میخواهم", "می‌خواهم", "ارام", "آرا*"],
            misses: &["خواهم", "غم"],
        },
        Fixture {
            text: "שָׁלוֹם לְכֻלָּם, שירתתי בצה\"ל עם חבר",
            hits: &["שלום", "שָׁלוֹם", "בצה\"ל", "בצה״ל", "לכלם", "שלום \"עם חבר\"", "שיר*"],
            misses: &["שלו", "צבא", "\"חבר עם\""],
        },
    ]);
}

#[test]
fn devanagari_keeps_its_vowel_signs() {
    check(&[Fixture {
        text: "आज मुझे बहुत चिंता हुई, मन में डर था। ज़िंदगी कठिन है।",
        hits: &["चिंता", "डर", "ज\u{93c}िंदगी", "\u{95b}िंदगी", "जिंदगी", "कठिन", "\"मन में डर\"", "चिंता डर", "जिंद*", "है"],
        // A pyre is no worry, though they differ by a dot.
        misses: &["चिता", "चित", "मुझ", "डरा", "कठ", "\"डर में मन\"", "खुशी"],
    }]);
}

#[test]
fn thai_is_found_by_words() {
    check(&[Fixture {
        text: "วันนี้ฉันรู้สึกกังวลมาก นอนไม่หลับและคิดถึงแม่ น้ำตาไหลทั้งคืน",
        hits: &[
            "กังวล",
            "รู้สึก",
            "แม่",
            "น้ำตา",
            "น\u{e49}\u{e4d}\u{e32}ตา",
            "น\u{e4d}\u{e49}\u{e32}ตา",
            "วันนี้",
            "กังวลมาก",
            "\"นอนไม่หลับ\"",
            "นอน หลับ",
            "คิดถึงแม่",
            "กัง*",
            "รู้สึกกัง*",
        ],
        // "Come" is in "much", "crow" in "worry", and neither was written.
        misses: &["มา", "กา", "พ่อ", "ดีใจ", "ไม่นอน", "\"หลับไม่นอน\"", "แม"],
    }]);
}

#[test]
fn japanese_and_chinese_are_found_by_words() {
    check(&[
        Fixture {
            text: "昨日は東京で友達と会って、とても嬉しかった。仕事のストレスで眠れない夜もある。",
            hits: &[
                "東京",
                "友達",
                "昨日 仕事",
                "ストレス",
                "ｽﾄﾚｽ",
                "夜",
                "仕事のストレス",
                "\"仕事のストレス\"",
                "ストレ*",
                "仕事のスト*",
                "東京で*",
            ],
            misses: &["京", "京都", "東", "ストライキ", "ストレ", "ストレスの仕事", "悲しい"],
        },
        Fixture {
            text: "私は東京都に住んでいます", hits: &["私", "東京都", "東京"], misses: &["京都", "京", "都庁"]
        },
        Fixture {
            text: "ガンの検査。か\u{3099}んばる",
            hits: &["ガン", "ｶﾞﾝ", "検査", "がんばる"],
            misses: &["カン", "かんばる"],
        },
        Fixture {
            text: "我今天很焦虑，晚上睡不着。",
            hits: &["焦虑", "今天", "晚上", "今天很焦虑", "\"很焦虑\""],
            misses: &["虑", "昨天", "焦虑很"],
        },
    ]);
}

#[test]
fn korean_is_found_composed_or_not() {
    check(&[Fixture {
        text: "오늘은 불안해서 잠을 못 잤다",
        hits: &["불안해서", "\u{1107}\u{116e}\u{11af}\u{110b}\u{1161}\u{11ab}해서", "불안해*", "\"잠을 못\""],
        misses: &["오늘도", "행복"],
    }]);
}

#[test]
fn emoji_are_words() {
    check(&[Fixture {
        text: "Today: 😀👍🏽 with 👨‍👩‍👧, ❤️ in 🇩🇪🇫🇷",
        hits: &["😀", "👍", "👍🏿", "❤", "❤️", "👨‍👩‍👧", "👍 today", "🇫🇷", "🇩🇪🇫🇷"],
        misses: &["😢", "👨", "👩‍👧", "🇩🇰", "🇪🇫"],
    }]);
}
