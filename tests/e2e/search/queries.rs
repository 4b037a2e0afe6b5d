//! Queries that people write, and those that are refused.

use kit::mesh::TestMesh;
use kit::test_env::TestEnv;
use serde_json::json;

use super::{finds, finds_nothing, ids, search, write};

kit::on_each_env!(fronts: odd_query_finds_its_words, invalid_query_names_every_bad_parameter, long_query_is_refused);

async fn odd_query_finds_its_words(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let asha = mesh.client("Asha").await;
    let notes = [
        "I am the one and only",
        "شعرت بالهدوء عند البحر",
        "hooray 🎉🎉 ❤️",
        "e\u{301}t\u{e9} \u{627}\u{644}\u{635}\u{64e}\u{651}\u{628}\u{652}\u{631}",
        "x marks the spot",
    ];
    let mut made = Vec::new();
    for (hour, note) in notes.iter().enumerate() {
        let at = json!({"timestamp": format!("2099-12-31T{hour:02}:00:00Z")});
        made.push(write(&mesh, &asha, note, &at).await);
    }
    for (query, expected) in [
        ("x", 4),
        ("X ", 4),
        ("the i and", 0),
        ("THE AND", 0),
        ("\"one and only", 0),
        ("only\"", 0),
        ("\"and only\" \"one", 0),
        ("البحر", 1),
        ("بالهدوء البحر", 1),
        ("\u{200f}البحر\u{200e}", 1),
        ("🎉", 2),
        ("❤", 2),
        ("ete", 3),
        ("E\u{301}TE\u{301}", 3),
        ("الصبر", 3),
        ("* spot", 4),
        ("mar*", 4),
        ("x.marks/the?spot", 4),
        ("<x> & marks", 4),
    ] {
        finds(&mesh, &asha, &search(query), &[&made[expected]]).await;
    }
    for query in ["\"and one\"", "البحر only", "🎊", "xx", "mark\u{200b}er"] {
        finds_nothing(&mesh, &asha, &search(query)).await;
    }
    let all = mesh.get(&search("calm"), &asha).await.expect(200);
    assert_eq!(ids(&all).len(), notes.len());
    // Plus and percent are read as in any query.
    finds(&mesh, &asha, "/search?q=marks+spot", &[&made[4]]).await;
    finds(&mesh, &asha, "/search?q=marks%20%22the%20spot%22", &[&made[4]]).await;
    mesh.stop().await;
}

async fn invalid_query_names_every_bad_parameter(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let asha = mesh.client("Asha").await;
    let words = |count: usize| search(&vec!["a"; count].join(" "));
    for (path, fields) in [
        ("/search".to_owned(), &["q"][..]),
        ("/search?q=".to_owned(), &["q"]),
        (search(" "), &["q"]),
        (search("\u{200b}"), &["q"]),
        (search("\"\""), &["q"]),
        (search("?!"), &["q"]),
        (search("*"), &["q"]),
        (search("* *"), &["q"]),
        (search("ab*"), &["q"]),
        (search("a\u{7}b"), &["q"]),
        (words(17), &["q"]),
        (search(&"a".repeat(201)), &["q"]),
        (format!("{}&in=MESSAGES", search("a")), &["in"]),
        (format!("{}&in=journal", search("a")), &["in"]),
        (format!("{}&in=JOURNAL,", search("a")), &["in"]),
        (format!("{}&from=2100-01-01T00:00:00Z&to=2100-01-01T00:00:00Z", search("a")), &["to"]),
        (format!("{}&pageSize=-1", search("a")), &["pageSize"]),
        ("/search?q=*&in=x&pageSize=-1".to_owned(), &["in", "pageSize", "q"]),
    ] {
        let refused = mesh.get(&path, &asha).await;
        assert_eq!((refused.status, refused.bad_fields()), (400, fields.to_vec()), "{path}: {}", refused.body);
        refused.refused(400, "INVALID_FIELDS");
    }
    for path in ["&from=yesterday", "&pageSize=many", "&page=1", "&q=b"] {
        assert_eq!(mesh.get(&format!("{}{path}", search("a")), &asha).await.status, 400, "{path}");
    }
    for nul in ["%00", "a%00b"] {
        // No front passes it on, each with its own reason.
        assert_eq!(mesh.get(&format!("/search?q={nul}"), &asha).await.status, 400, "{nul}");
    }
    mesh.get(&words(16), &asha).await.expect(200);
    mesh.get(&search(&"a".repeat(200)), &asha).await.expect(200);
    mesh.stop().await;
}

/// Search refuses what a front takes, and a front what is longer than the headers of any request.
async fn long_query_is_refused(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let asha = mesh.client("Asha").await;
    for query in [vec!["word"; 500].join("+"), "a".repeat(10_000)] {
        let refused = mesh.get(&format!("/search?q={query}"), &asha).await;
        refused.refused(400, "INVALID_FIELDS");
        assert_eq!(refused.bad_fields(), ["q"]);
    }
    let longer = format!("/search?q={}", "%C3%A9".repeat(10_000));
    assert_eq!(mesh.get(&longer, &asha).await.status, 431);
    mesh.stop().await;
}
