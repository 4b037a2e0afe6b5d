//! TLS, with HTTP/2 and HTTP/1.1 as the caller likes.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Empty;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::service::{Reply, Service};

#[tokio::test(flavor = "multi_thread")]
async fn tls_serves_http_2_and_http_1_1_by_what_the_caller_offers() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.display().to_string()
    };
    let (certificate, key) = (file("certificate.pem", kit::envoy::CERTIFICATE), file("key.pem", kit::envoy::KEY));
    let service = Service::start(|_| Reply::Message(Vec::new())).await;
    let envoy = service.envoy(|settings| settings.tls = Some(envoy_config::Tls { certificate, key })).await;

    for (offered, chosen) in
        [(&["h2", "http/1.1"][..], Some(&b"h2"[..])), (&["http/1.1"], Some(b"http/1.1")), (&[], None)]
    {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(kit::envoy::CERTIFICATE.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let mut config = config.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = offered.iter().map(|name| name.as_bytes().to_vec()).collect();
        let stream = TcpStream::connect(envoy.address()).await.unwrap();
        let stream =
            TlsConnector::from(Arc::new(config)).connect("localhost".try_into().unwrap(), stream).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), chosen);

        let request = http::Request::get("https://localhost/.well-known/jwks.json").header("host", "localhost");
        let request = request.body(Empty::<Bytes>::new()).unwrap();
        let answer = if chosen == Some(b"h2") {
            let (mut sender, connection) =
                hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
            tokio::select! { answer = sender.send_request(request) => answer.unwrap(), _ = connection => panic!("it closes") }
        } else {
            let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
            tokio::select! { answer = sender.send_request(request) => answer.unwrap(), _ = connection => panic!("it closes") }
        };
        assert_eq!(answer.status(), 200);
    }

    // Not in the clear.
    assert!(reqwest::get(format!("{}/.well-known/jwks.json", envoy.url())).await.is_err());
}
