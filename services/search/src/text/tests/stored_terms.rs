//! Terms as tables hold them.

/// Terms are stored, as tags: where a new version of a library makes others of the same text, what was stored is no
/// longer found, and the release that brings it must rebuild the index.
#[test]
fn terms_of_stored_texts_stay() {
    for (text, expected) in [
        ("Feeling anxious", "panx panxi panxio panxiou panxious pfee pfeel pfeeli pfeelin pfeeling wanxious wfeel"),
        ("l'Été à 3.5", "pete w3 w5 wa wete wl"),
        ("Ёжик", "pежи pежик wежик"),
        ("مُتْعَبٌ", "pمتع pمتعب wمتعب"),
        ("चिंता", "pचिं pचिंत pचिंता wचिंता"),
        ("นอนไม่หลับ", "pนอน pหลั pไม่ wนอน wหลับ wไม่"),
        ("仕事のストレス", "pのスト pストレ p仕事の wの wストレス w仕事"),
        ("👍🏽 ok", "wok w👍"),
    ] {
        let terms = crate::terms(text);
        let terms = terms.iter().map(|term| term.as_str()).collect::<Vec<_>>();
        assert_eq!(terms.join(" "), expected, "{text}");
    }
}
