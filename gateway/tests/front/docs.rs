//! The page at `/docs`, as a browser and a cache see it.

use std::io::Read as _;

use flate2::read::GzDecoder;
use reqwest::Response;
use reqwest::header::HeaderMap;

use crate::test_env::{TestEnv, json, reason};

/// Every path of the page, with its type.
const FILES: [(&str, &str); 12] = [
    ("/docs", "text/html; charset=utf-8"),
    ("/docs/style.css", "text/css; charset=utf-8"),
    ("/docs/page.js", "text/javascript; charset=utf-8"),
    ("/docs/login.js", "text/javascript; charset=utf-8"),
    ("/docs/reference.js", "text/javascript; charset=utf-8"),
    ("/docs/events.js", "text/javascript; charset=utf-8"),
    ("/docs/insights.js", "text/javascript; charset=utf-8"),
    ("/docs/violations.js", "text/javascript; charset=utf-8"),
    ("/docs/icon.svg", "image/svg+xml"),
    ("/docs/swagger-ui.js", "text/javascript; charset=utf-8"),
    ("/docs/swagger-ui.css", "text/css; charset=utf-8"),
    ("/openapi.yaml", "application/yaml"),
];

async fn get(env: &TestEnv, path: &str, headers: &[(&str, &str)]) -> Response {
    let request = headers.iter().fold(env.get(path), |request, (name, value)| request.header(*name, *value));
    request.send().await.unwrap()
}

fn assert_security_headers(headers: &HeaderMap) {
    let policy = headers["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'; script-src 'self'; "), "{policy}");
    for never in ["unsafe", "http", "*"] {
        assert!(!policy.contains(never), "{policy}");
    }
    assert!(policy.contains("frame-ancestors 'none'") && policy.contains("base-uri 'none'"), "{policy}");
    assert_eq!(headers["x-content-type-options"], "nosniff");
    assert_eq!(headers["referrer-policy"], "no-referrer");
    assert_eq!(headers["cache-control"], "no-cache");
}

#[tokio::test]
async fn files_are_equal_plain_and_gzipped() {
    let env = TestEnv::start(&[]).await;
    for (path, content_type) in FILES {
        let plain = get(&env, path, &[]).await;
        assert_eq!(plain.status(), 200, "{path}");
        assert_security_headers(plain.headers());
        assert_eq!(plain.headers()["content-type"], content_type, "{path}");
        assert_eq!(plain.headers()["vary"], "accept-encoding");
        assert_eq!(plain.headers().get("content-encoding"), None);
        let tag = plain.headers()["etag"].clone();
        let plain = plain.bytes().await.unwrap();

        let packed = get(&env, path, &[("accept-encoding", "br, gzip;q=0.5")]).await;
        assert_eq!(packed.headers()["content-encoding"], "gzip", "{path}");
        assert_eq!(packed.headers()["content-type"], content_type);
        assert_ne!(packed.headers()["etag"], tag);
        let mut unpacked = Vec::new();
        GzDecoder::new(&*packed.bytes().await.unwrap()).read_to_end(&mut unpacked).unwrap();
        assert!(plain.len() > 100 && plain == unpacked, "{path}");
    }
}

#[tokio::test]
async fn gzip_is_sent_only_if_accepted() {
    let env = TestEnv::start(&[]).await;
    let cases = [("gzip", true), ("GZIP", true), ("deflate, *", true), ("*;q=0, gzip;q=1", true), ("x-gzip", false)];
    for (accepted, packed) in
        cases.into_iter().chain([("gzip;q=0, *", false), ("identity, gzip; q=0.000", false), ("", false)])
    {
        let answer = get(&env, "/docs", &[("accept-encoding", accepted)]).await;
        assert_eq!(answer.headers().contains_key("content-encoding"), packed, "{accepted}");
    }
}

#[tokio::test]
async fn known_etag_gets_not_modified() {
    let env = TestEnv::start(&[]).await;
    for encoding in ["identity", "gzip"] {
        let asked = ("accept-encoding", encoding);
        let tag = get(&env, "/openapi.yaml", &[asked]).await.headers()["etag"].to_str().unwrap().to_owned();
        for known in [tag.clone(), format!("W/{tag}"), format!("\"other\", {tag}"), "*".to_owned()] {
            let answer = get(&env, "/openapi.yaml", &[asked, ("if-none-match", &known)]).await;
            assert_eq!(answer.status(), 304, "{known}");
            assert_security_headers(answer.headers());
            assert_eq!(answer.headers()["etag"], tag);
            assert_eq!(answer.headers()["vary"], "accept-encoding");
            assert_eq!(answer.bytes().await.unwrap(), "");
        }
        let answer = get(&env, "/openapi.yaml", &[asked, ("if-none-match", "\"other\"")]).await;
        assert_eq!(answer.status(), 200);
    }
    // The same file in another coding has another tag.
    let plain = get(&env, "/docs", &[]).await.headers()["etag"].to_str().unwrap().to_owned();
    assert_eq!(get(&env, "/docs", &[("accept-encoding", "gzip"), ("if-none-match", &plain)]).await.status(), 200);
}

#[tokio::test]
async fn head_has_headers_of_get() {
    let env = TestEnv::start(&[]).await;
    for (path, _) in FILES {
        for encoding in ["identity", "gzip"] {
            let get = get(&env, path, &[("accept-encoding", encoding)]).await;
            let head = env.request("HEAD", path).header("accept-encoding", encoding).send().await.unwrap();
            let without_incidental = |headers: &HeaderMap| {
                let mut headers = headers.clone();
                headers.remove("date");
                headers.remove("x-request-id");
                headers
            };
            assert_eq!(head.status(), 200, "{path}");
            assert_eq!(without_incidental(head.headers()), without_incidental(get.headers()), "{path}");
            assert_eq!(head.bytes().await.unwrap(), "");
        }
    }
}

#[tokio::test]
async fn root_redirects_to_docs() {
    let env = TestEnv::start(&[]).await;
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    for path in ["/", "/docs/", "/?q=1"] {
        let answer = client.get(format!("http://{}{path}", env.address)).send().await.unwrap();
        assert_eq!(answer.status(), 307, "{path}");
        assert_eq!(answer.headers()["location"], "/docs");
        assert_security_headers(answer.headers());
    }
    let page = get(&env, "/", &[]).await.text().await.unwrap();
    assert!(page.starts_with("<!doctype html>\n<html lang=\"en\">"), "{page}");
}

#[tokio::test]
async fn unknown_docs_path_is_route_not_found() {
    let env = TestEnv::start(&[]).await;
    for path in [
        "/docs/nothing.js",
        "/docs/style.css/",
        "/docs/../docs.rs",
        "/docs/%73tyle.css",
        "/Docs",
        "/docs//",
        "/openapi.yml",
    ] {
        assert_eq!(reason(&json(env.get(path), 404).await), "ROUTE_NOT_FOUND", "{path}");
    }
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"] {
        for path in ["/", "/docs", "/openapi.yaml"] {
            assert_eq!(reason(&json(env.request(method, path), 404).await), "ROUTE_NOT_FOUND", "{method} {path}");
        }
    }
}

#[tokio::test]
async fn page_references_only_served_files() {
    let env = TestEnv::start(&[]).await;
    let page = get(&env, "/docs", &[]).await.text().await.unwrap();
    let named = [" src=\"", " href=\""].into_iter().flat_map(|attribute| page.split(attribute).skip(1));
    let files: Vec<_> =
        named.map(|rest| rest.split('"').next().unwrap()).filter(|name| !name.starts_with('#')).collect();
    assert!(files.len() > 5, "{files:?}");
    for file in files {
        assert!(FILES.iter().any(|(path, _)| *path == file), "{file}");
    }
    // A policy without 'unsafe-inline' would stop them anyway.
    for inline in ["<style", "<script>", " style=", " onclick=", "javascript:"] {
        assert!(!page.contains(inline), "{inline}");
    }
}

#[tokio::test]
async fn guide_operations_exist_in_document() {
    let env = TestEnv::start(&[]).await;
    let page = get(&env, "/docs", &[]).await.text().await.unwrap();
    let document = get(&env, "/openapi.yaml", &[]).await.text().await.unwrap();
    let named: Vec<_> = page.split("data-operation=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    assert!(named.len() > 5, "{named:?}");
    // The page leaves out the text before this heading: its own guide covers it.
    assert!(document.contains("\n    ## What holds everywhere\n"));
    for operation in named {
        assert!(document.contains(&format!("\n      operationId: {operation}\n")), "{operation}");
    }
}
