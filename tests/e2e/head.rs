//! Contract §2, rows /healthz and /.well-known/jwks.json: HEAD answers as GET does, without the body.

use kit::mesh::TestMesh;
use kit::test_env::TestEnv;
use reqwest::Method;

kit::on_each_env!(fronts: head_answers_like_get_without_body,);

async fn head_answers_like_get_without_body(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    for path in ["/healthz", "/healthz?verbose=1", "/.well-known/jwks.json"] {
        let ask = async |method| mesh.request(method, path).send().await.unwrap();
        let (head, get) = (ask(Method::HEAD).await, ask(Method::GET).await);
        assert_eq!((head.status().as_u16(), get.status().as_u16()), (200, 200), "{path}");
        let header = |name| (head.headers().get(name), get.headers().get(name));
        for name in ["content-type", "content-length", "cache-control"] {
            assert_eq!(header(name).0, header(name).1, "{name} of {path}");
            assert!(header(name).0.is_some(), "{name} of {path}");
        }
        assert_eq!(head.bytes().await.unwrap(), "", "{path}");
        assert_ne!(get.bytes().await.unwrap(), "", "{path}");
    }
    for path in ["/healthz/ready", "/.well-known/nothing", "/emotions", "/auth/me"] {
        let refused = mesh.request(Method::HEAD, path).send().await.unwrap();
        assert_eq!(refused.status(), 404, "{path}");
        assert_eq!(refused.bytes().await.unwrap(), "", "{path}");
    }
    mesh.stop().await;
}
