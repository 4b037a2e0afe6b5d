//! Changes of entries: what is acknowledged is not found in its old form any more, and soon in its new one.

use kit::mesh::TestMesh;
use kit::test_env::TestEnv;
use reqwest::Method;
use serde_json::json;

use super::{correct, finds, finds_nothing, pair, search, shown, write};

kit::on_each_env!(
    corrected_entry_is_found_by_its_new_words,
    removed_entry_is_not_found,
    visibility_takes_effect_at_once,
);

async fn corrected_entry_is_found_by_its_new_words(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let (asha, noor) = pair(&mesh).await;
    let entry = write(&mesh, &asha, "a walk on the dunes", &json!({})).await;
    finds(&mesh, &noor, &search("dunes"), &[&entry]).await;
    correct(&mesh, &asha, &entry, &json!({"note": "a walk on the cliffs", "emotion": "proud"})).await;
    for who in [&asha, &noor] {
        finds_nothing(&mesh, who, &search("dunes")).await;
        finds_nothing(&mesh, who, &search("calm")).await;
        finds(&mesh, who, &search("cliff proud"), &[&entry]).await;
        finds(&mesh, who, &search("walk"), &[&entry]).await;
    }
    let hits = mesh.get(&search("walk cliff"), &noor).await.expect(200);
    assert_eq!(shown(&hits[0]), "proud a [walk] on the [cliffs]");
    correct(&mesh, &asha, &entry, &json!({"note": ""})).await;
    for who in [&asha, &noor] {
        finds_nothing(&mesh, who, &search("walk")).await;
        finds(&mesh, who, &search("proud"), &[&entry]).await;
    }
    mesh.stop().await;
}

async fn removed_entry_is_not_found(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let (asha, noor) = pair(&mesh).await;
    let other = write(&mesh, &asha, "the glacier", &json!({"timestamp": "2099-12-30T12:00:00Z"})).await;
    let entry = write(&mesh, &asha, "the glacier", &json!({})).await;
    finds(&mesh, &noor, &search("glacier"), &[&entry, &other]).await;
    let path = format!("/journal/{}?entryId={entry}", asha.id);
    mesh.ask(Method::DELETE, &path, Some(&asha), None).await.expect(200);
    for who in [&asha, &noor] {
        let hits = mesh.get(&search("glacier"), who).await.expect(200);
        assert_eq!(super::ids(&hits), [&other]);
    }
    mesh.stop().await;
}

/// Rule 8.
async fn visibility_takes_effect_at_once(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let (asha, noor) = pair(&mesh).await;
    let entry = write(&mesh, &asha, "the volcano", &json!({})).await;
    finds(&mesh, &noor, &search("volcano"), &[&entry]).await;
    for note in ["the volcano", "a volcano at night"] {
        correct(&mesh, &asha, &entry, &json!({"visibility": "PRIVATE", "note": note})).await;
        finds_nothing(&mesh, &noor, &search("volcano")).await;
        finds(&mesh, &asha, &search("volcano"), &[&entry]).await;
        finds_nothing(&mesh, &noor, &search("volcano")).await;
        correct(&mesh, &asha, &entry, &json!({"visibility": "SHARED"})).await;
        finds(&mesh, &noor, &search("volcano"), &[&entry]).await;
        finds(&mesh, &asha, &search("volcano"), &[&entry]).await;
    }
    let hits = mesh.get(&search("volcano"), &asha).await.expect(200);
    assert_eq!((hits.as_array().unwrap().len(), &hits[0]["visibility"]), (1, &json!("SHARED")));
    mesh.stop().await;
}
