//! Tasks of the repository, as `cargo xtask <task>`.

use std::error::Error;
use std::fs;
use std::path::Path;

use clap::Parser;
use envoy_config::Target;
use prost_reflect::DescriptorPool;

/// Root of the repository.
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// Tasks of the repository.
#[derive(Debug, Parser)]
enum Task {
    /// Writes every generated file: the OpenAPI document, the page about errors, the gRPC service config and the
    /// configuration of Envoy.
    Regenerate,
}

fn main() -> Result<(), Box<dyn Error>> {
    match Task::parse() {
        Task::Regenerate => regenerate(Path::new(ROOT)),
    }
}

fn regenerate(root: &Path) -> Result<(), Box<dyn Error>> {
    write(&root.join("gateway/openapi/swagger.yaml"), openapi::document(proto::DESCRIPTOR_SET)?.as_bytes())?;
    let pool = DescriptorPool::decode(proto::DESCRIPTOR_SET)?;
    write(&root.join("proto/service_config.json"), proto::service_config::document(&pool)?.as_bytes())?;
    write(&root.join("docs/errors.md"), openapi::errors(proto::DESCRIPTOR_SET)?.as_bytes())?;
    for (name, content) in envoy_config::files(Target::Kubernetes)? {
        write(&root.join("k8s/base/envoy").join(name), &content)?;
    }
    Ok(())
}

/// Writes a file if its content changes: crates that include it are built again when it is written.
fn write(path: &Path, content: &[u8]) -> Result<(), String> {
    if fs::read(path).is_ok_and(|written| written == content) {
        return Ok(());
    }
    fs::write(path, content).map_err(|error| format!("{}: {error}", path.display()))
}
