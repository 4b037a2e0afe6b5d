//! TLS: protocol negotiation (ALPN) and certificate renewal.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Empty;
use hyper_util::rt::{TokioExecutor, TokioIo};
use kit::envoy::{CERTIFICATE, KEY, RENEWED_CERTIFICATE, RENEWED_KEY};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::service::{Reply, Service};

#[tokio::test(flavor = "multi_thread")]
async fn tls_follows_alpn_and_reloads_certificates() {
    let directory = tempfile::tempdir().unwrap();
    let [certificate, key] = mount(directory.path(), "..1", CERTIFICATE, KEY);
    let service = Service::start(|_| Reply::Message(Vec::new())).await;
    let envoy = service.envoy(|settings| settings.tls = Some(envoy_config::Tls { certificate, key })).await;

    for (offered, chosen) in
        [(&["h2", "http/1.1"][..], Some(&b"h2"[..])), (&["http/1.1"], Some(b"http/1.1")), (&[], None)]
    {
        let stream = connect(envoy.address(), offered).await;
        assert_eq!(stream.get_ref().1.alpn_protocol(), chosen);
        let request = http::Request::get("https://localhost/.well-known/jwks.json").header("host", "localhost");
        let request = request.body(Empty::<Bytes>::new()).unwrap();
        let status = if chosen == Some(b"h2") {
            let (mut sender, connection) =
                hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
            tokio::select! { answer = sender.send_request(request) => answer.unwrap().status(), _ = connection => panic!("it closes") }
        } else {
            let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
            tokio::select! { answer = sender.send_request(request) => answer.unwrap().status(), _ = connection => panic!("it closes") }
        };
        assert_eq!(status, 200);
    }

    // Plain HTTP is refused.
    assert!(reqwest::get(format!("{}/.well-known/jwks.json", envoy.url())).await.is_err());

    // As Kubernetes renews it.
    mount(directory.path(), "..2", RENEWED_CERTIFICATE, RENEWED_KEY);
    let renewed = CertificateDer::from_pem_slice(RENEWED_CERTIFICATE.as_bytes()).unwrap();
    let shown = async || connect(envoy.address(), &[]).await.get_ref().1.peer_certificates().unwrap()[0].clone();
    let shows = async { while shown().await != renewed {} };
    tokio::time::timeout(Duration::from_secs(20), shows).await.expect("the renewed certificate is shown");
}

/// Mounts certificate and key as Kubernetes does: links into a directory that is replaced as a whole.
fn mount(directory: &Path, version: &str, certificate: &str, key: &str) -> [String; 2] {
    fs::create_dir(directory.join(version)).unwrap();
    let data = directory.join("..data");
    for (name, content) in [("certificate.pem", certificate), ("key.pem", key)] {
        fs::write(directory.join(version).join(name), content).unwrap();
        if !data.exists() {
            symlink(Path::new("..data").join(name), directory.join(name)).unwrap();
        }
    }
    symlink(version, directory.join("..new")).unwrap();
    fs::rename(directory.join("..new"), data).unwrap();
    ["certificate.pem", "key.pem"].map(|name| directory.join(name).display().to_string())
}

/// Connects as a caller that offers these protocols and trusts both certificates.
async fn connect(address: SocketAddr, offered: &[&str]) -> TlsStream<TcpStream> {
    let mut roots = RootCertStore::empty();
    for certificate in [CERTIFICATE, RENEWED_CERTIFICATE] {
        roots.add(CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()).unwrap();
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = offered.iter().map(|name| name.as_bytes().to_vec()).collect();
    let stream = TcpStream::connect(address).await.unwrap();
    TlsConnector::from(Arc::new(config)).connect("localhost".try_into().unwrap(), stream).await.unwrap()
}
