//! Tests of workload identity with tokens as Kubernetes issues them
//! (<https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/>): services with the shipped
//! settings accept them, and the shipped program copies the keys.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chassis::identity::{KeySet, Keys, WorkloadVerifier};
use kernel::{ManualClock, Timestamp};
use kit::wait;
use proto::registry::NAMES;
use serde_json::{Value, json};

use crate::at;
use crate::manifests::{BASE, items, pod, words};

const NOW: i64 = 1_800_000_000;

/// A cluster's token issuer with RSA of 2048 bits, as in kubeadm, kind and EKS.
struct Cluster(RsaKeyPair);

impl Cluster {
    fn new() -> Self {
        Self(RsaKeyPair::generate(KeySize::Rsa2048).unwrap())
    }

    /// Returns the answer of `/openid/v1/jwks`.
    fn jwks(&self) -> Value {
        let public = self.0.public_key();
        let number = |number: &[u8]| URL_SAFE_NO_PAD.encode(number);
        json!({"keys": [{
            "use": "sig", "kty": "RSA", "kid": "a-key-of-the-cluster", "alg": "RS256",
            "n": number(public.modulus().big_endian_without_leading_zero()),
            "e": number(public.exponent().big_endian_without_leading_zero()),
        }]})
    }

    /// Issues a projected token, as the kubelet requests it for a pod.
    fn token(&self, namespace: &str, account: &str, audience: &str, issuer: &str) -> String {
        let header = json!({"alg": "RS256", "kid": "a-key-of-the-cluster"});
        let claims = json!({
            "aud": [audience], "iss": issuer, "sub": format!("system:serviceaccount:{namespace}:{account}"),
            "iat": NOW, "nbf": NOW, "exp": NOW + 3607, "jti": "0f7a2b4e-7f6c-4ad1-9d2b-27b3f4f0a6c5",
            "kubernetes.io": {
                "namespace": namespace,
                "node": {"name": "node-1", "uid": "3f3a1f3e-1d1c-4a39-8b06-5a5a0d2f5d6b"},
                "pod": {"name": "a-pod", "uid": "9b1c5f3c-94e4-4f3e-8f8e-1b1f5d0c4d11"},
                "serviceaccount": {"name": account, "uid": "c3c6a6f0-6e1a-4d0c-9f4b-0d9b1e2f3a44"},
            },
        });
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&header), part(&claims));
        let mut signature = vec![0; self.0.public_modulus_len()];
        self.0.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// Returns a service's token verifier with the shipped settings, and the audience and issuer of its own token.
fn shipped(name: &str, jwks: &str) -> (WorkloadVerifier, String, String) {
    let pod = pod(BASE.get("Deployment", name));
    let variables = BASE.variables(&pod["containers"][0]);
    let sources = items(&pod["volumes"]).iter().flat_map(|volume| items(&volume["projected"]["sources"]));
    let audience = sources.filter_map(|source| source["serviceAccountToken"]["audience"].as_str()).next().unwrap();
    let keys = Keys::fixed(KeySet::parse(jwks.as_bytes()).unwrap());
    let clock = Arc::new(ManualClock::new(Timestamp::from_second(NOW).unwrap()));
    let (issuer, prefix) = (&variables["MESH_WORKLOAD_ISSUER"], &variables["MESH_WORKLOAD_SUBJECT_PREFIX"]);
    (WorkloadVerifier::new(keys, issuer, prefix, clock), audience.to_owned(), issuer.clone())
}

#[test]
fn cluster_token_names_calling_service() {
    let cluster = Cluster::new();
    for name in NAMES.into_iter().chain(["gateway"]) {
        let (verifier, audience, issuer) = shipped(NAMES[0], &cluster.jwks().to_string());
        let account = pod(BASE.get("Deployment", name))["serviceAccountName"].as_str().unwrap();
        let token = cluster.token("therapy", account, &audience, &issuer);
        assert_eq!(verifier.verify(&token).as_deref(), Some(name));
    }
}

#[test]
fn token_of_other_namespace_audience_issuer_or_key_is_rejected() {
    let (cluster, other) = (Cluster::new(), Cluster::new());
    let (verifier, audience, issuer) = shipped("vault", &cluster.jwks().to_string());
    for (why, token) in [
        ("namespace", cluster.token("elsewhere", "journals", &audience, &issuer)),
        ("audience", cluster.token("therapy", "journals", "https://kubernetes.default.svc.cluster.local", &issuer)),
        ("issuer", cluster.token("therapy", "journals", &audience, "https://example.org")),
        ("key", other.token("therapy", "journals", &audience, &issuer)),
    ] {
        assert_eq!(verifier.verify(&token), None, "{why}");
    }
}

#[test]
fn cluster_keys_are_copied_unchanged_to_config_map() {
    let cluster = Cluster::new();
    let jwks = cluster.jwks().to_string();
    let identity = identity();
    let api = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut program = program(identity.path(), &api);
    assert!(!is_ready(identity.path()));

    let asked = answer(&api, "200 OK", &jwks);
    assert_eq!(asked.line, "GET /openid/v1/jwks HTTP/1.1");
    assert_eq!(asked.authorization, "Bearer a-token");
    let told = answer(&api, "200 OK", "{}");
    let mut said = String::new();
    BufReader::new(program.stdout.take().unwrap()).read_line(&mut said).unwrap();
    assert_eq!((said.as_str(), is_ready(identity.path())), ("the keys are published\n", true));
    drop(program.kill());
    drop(program.wait());

    assert_eq!(told.line, "PATCH /api/v1/namespaces/elsewhere/configmaps/workload-keys HTTP/1.1");
    assert_eq!((told.authorization.as_str(), told.kind.as_str()), ("Bearer a-token", "application/merge-patch+json"));
    let patch: Value = serde_json::from_str(&told.body).unwrap();
    assert_eq!(patch, json!({"data": {"jwks.json": jwks}}));
    let (verifier, audience, issuer) = shipped("vault", patch["data"]["jwks.json"].as_str().unwrap());
    assert_eq!(verifier.verify(&cluster.token("therapy", "audit", &audience, &issuer)).as_deref(), Some("audit"));
}

#[test]
fn invalid_keys_are_not_published() {
    for (status, body) in [("200 OK", "{\"keys\":[]}"), ("403 Forbidden", "{\"kid\":\"kid\"}")] {
        let identity = identity();
        let api = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut program = program(identity.path(), &api);
        answer(&api, status, body);
        let ended = wait::blocking("the program ends", || program.try_wait().unwrap());
        assert!(!ended.success(), "{status} {body}");
        assert!(api.accept().is_err(), "something was published after {status} {body}");
        assert!(!is_ready(identity.path()));
    }
}

#[test]
fn key_publisher_writes_the_mounted_config_map() {
    let map = BASE.get("ConfigMap", "workload-keys");
    assert!(map.get("data").is_none(), "to apply the manifests again must not take the keys away");
    let pod = pod(BASE.get("Deployment", "workload-keys"));
    assert_eq!(words(&pod["containers"][0]["command"]), ["sh", "/program/workload-keys.sh"]);
    let identity = items(&pod["volumes"]).iter().find(|volume| volume["name"] == "identity").unwrap();
    let own =
        json!({"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}]}});
    assert!(items(&identity["projected"]["sources"]).contains(&own));
}

/// Runs the readiness probe of the program.
fn is_ready(state: &Path) -> bool {
    let container = &pod(BASE.get("Deployment", "workload-keys"))["containers"][0];
    let probe = words(&container["readinessProbe"]["exec"]["command"]);
    let probe: Vec<_> = probe.iter().map(|word| word.replace("/state/", &format!("{}/", state.display()))).collect();
    Command::new(&probe[0]).args(&probe[1..]).stderr(Stdio::null()).status().unwrap().success()
}

/// Creates the projected volume of the program's pod.
fn identity() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("token"), "a-token").unwrap();
    std::fs::write(directory.path().join("ca.crt"), "").unwrap();
    std::fs::write(directory.path().join("namespace"), "elsewhere").unwrap();
    directory
}

fn program(identity: &Path, api: &TcpListener) -> std::process::Child {
    let mut program = Command::new("sh");
    program.arg(at("k8s/base/workload-keys.sh")).stdout(Stdio::piped()).stderr(Stdio::null());
    program.env("IDENTITY", identity).env("STATE", identity);
    program.env("KUBERNETES_API", format!("http://{}", api.local_addr().unwrap())).env("no_proxy", "127.0.0.1");
    program.spawn().expect("a shell starts")
}

/// A request to the Kubernetes API.
#[derive(Default)]
struct Request {
    line: String,
    authorization: String,
    kind: String,
    body: String,
}

/// Answers the next request and returns it.
fn answer(api: &TcpListener, status: &str, body: &str) -> Request {
    api.set_nonblocking(true).unwrap();
    let (mut stream, _) = wait::blocking("the program calls", || api.accept().ok());
    stream.set_nonblocking(false).unwrap();
    stream.set_read_timeout(Some(wait::TIMEOUT)).unwrap();
    let request = receive(&stream);
    let length = body.len();
    write!(stream, "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}").unwrap();
    request
}

fn receive(stream: &TcpStream) -> Request {
    let mut reader = BufReader::new(stream);
    let mut line = || {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    };
    let mut request = Request { line: line(), ..Request::default() };
    let mut length = 0;
    loop {
        let header = line();
        let Some((name, value)) = header.split_once(": ") else { break };
        match name.to_lowercase().as_str() {
            "authorization" => value.clone_into(&mut request.authorization),
            "content-type" => value.clone_into(&mut request.kind),
            "content-length" => length = value.parse().unwrap(),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    request.body = String::from_utf8(body).unwrap();
    request
}
