//! Fixtures in several scripts, with hits that readers of the languages expect. They were written without the segmenter.

use kit::mesh::TestMesh;
use kit::test_env::TestEnv;
use serde_json::json;

use super::{finds, finds_nothing, search, shown, write};

kit::on_each_env!(words_of_each_script_are_found);

struct Fixture {
    text: &'static str,
    /// Queries, each with the snippet of its hit, without the emotion.
    hits: &'static [(&'static str, &'static str)],
    misses: &'static [&'static str],
}

const FIXTURES: [Fixture; 7] = [
    Fixture {
        text: "L'été dernier, ma sœur a pleuré",
        hits: &[
            ("ete", "L'[été] dernier, ma sœur a pleuré"),
            ("ÉTÉ SŒUR", "L'[été] dernier, ma [sœur] a pleuré"),
            ("soeur", "L'été dernier, ma [sœur] a pleuré"),
            ("\"ma soeur\"", "L'été dernier, [ma sœur] a pleuré"),
            ("pleu*", "L'été dernier, ma sœur a [pleuré]"),
        ],
        misses: &["hiver", "soe", "\"soeur ma\""],
    },
    Fixture {
        text: "Żółć i łzy na Straße",
        hits: &[
            ("zolc", "[Żółć] i łzy na Straße"),
            ("ŁZY", "Żółć i [łzy] na Straße"),
            ("strasse", "Żółć i łzy na [Straße]"),
        ],
        misses: &["zol", "lez"],
    },
    Fixture {
        text: "Сегодня приснился ёжик, и тревога ушла",
        hits: &[
            ("ежик", "Сегодня приснился [ёжик], и тревога ушла"),
            ("ТРЕВОГА", "Сегодня приснился ёжик, и [тревога] ушла"),
            ("трев* сегодня", "[Сегодня] приснился ёжик, и [тревога] ушла"),
            ("\"тревога ушла\"", "Сегодня приснился ёжик, и [тревога ушла]"),
        ],
        misses: &["тревог", "радость", "\"ушла тревога\""],
    },
    Fixture {
        text: "أشعر بالقلق من العمل وقلبي مُتْعَبٌ",
        hits: &[
            ("اشعر", "[أشعر] بالقلق من العمل وقلبي مُتْعَبٌ"),
            ("متعب", "أشعر بالقلق من العمل وقلبي [مُتْعَبٌ]"),
            ("\"من العمل\"", "أشعر بالقلق [من العمل] وقلبي مُتْعَبٌ"),
            ("بالق*", "أشعر [بالقلق] من العمل وقلبي مُتْعَبٌ"),
        ],
        misses: &["فرح", "\"العمل من\"", "متع"],
    },
    Fixture {
        text: "आज मुझे बहुत चिंता हुई, मन में डर था",
        hits: &[
            ("चिंता", "आज मुझे बहुत [चिंता] हुई, मन में डर था"),
            ("डर आज", "[आज] मुझे बहुत चिंता हुई, मन में [डर] था"),
            ("\"मन में डर\"", "आज मुझे बहुत चिंता हुई, [मन में डर] था"),
        ],
        // A pyre is no worry, though they differ by a dot.
        misses: &["चिता", "खुशी", "मुझ"],
    },
    Fixture {
        text: "วันนี้ฉันรู้สึกกังวลมาก นอนไม่หลับ",
        hits: &[
            ("กังวล", "วันนี้ฉันรู้สึก[กังวล]มาก นอนไม่หลับ"),
            ("รู้สึก วันนี้", "[วันนี้]ฉัน[รู้สึก]กังวลมาก นอนไม่หลับ"),
            ("\"นอนไม่หลับ\"", "วันนี้ฉันรู้สึกกังวลมาก [นอนไม่หลับ]"),
        ],
        // "Come" is in "much", and was not written.
        misses: &["มา", "ดีใจ"],
    },
    Fixture {
        text: "昨日は東京で友達と会った。仕事のストレスで眠れない。",
        hits: &[
            ("東京", "昨日は[東京]で友達と会った。仕事のストレスで眠れない。"),
            ("友達 仕事", "昨日は東京で[友達]と会った。[仕事]のストレスで眠れない。"),
            ("ｽﾄﾚｽ", "昨日は東京で友達と会った。仕事の[ストレス]で眠れない。"),
            ("仕事のスト*", "昨日は東京で友達と会った。[仕事のストレス]で眠れない。"),
        ],
        misses: &["京", "京都", "ストライキ"],
    },
];

async fn words_of_each_script_are_found(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let asha = mesh.client("Asha").await;
    let mut made = Vec::new();
    for (hour, Fixture { text, .. }) in FIXTURES.iter().enumerate() {
        let at = json!({"timestamp": format!("2099-12-31T{hour:02}:00:00Z")});
        made.push(write(&mesh, &asha, text, &at).await);
    }
    for (Fixture { hits, misses, .. }, entry) in FIXTURES.iter().zip(&made) {
        for (query, expected) in *hits {
            finds(&mesh, &asha, &search(query), &[entry]).await;
            let found = mesh.get(&search(query), &asha).await.expect(200);
            assert_eq!(shown(&found[0]), format!("calm {expected}"), "{query}");
        }
        for query in *misses {
            finds_nothing(&mesh, &asha, &search(query)).await;
        }
    }
    mesh.stop().await;
}
