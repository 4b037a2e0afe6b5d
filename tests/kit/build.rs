//! Compiles the protos of the test service, and its descriptor set in one form for each front.
#![allow(clippy::disallowed_methods, reason = "Cargo tells a build script its folders by variables")]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs};

const FRONT: &str = "testing/v1/front.proto";

fn main() -> Result<(), Box<dyn Error>> {
    let here = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let (own, contracts) = (here.join("proto"), here.join("../../proto"));
    println!("cargo:rerun-if-changed={}", own.join(FRONT).display());
    println!("cargo:rerun-if-changed={}", contracts.join("therapy/options").display());

    let compiler = compile(&own, &contracts)?;
    fs::write(out.join("front.pb"), compiler.encode_file_descriptor_set())?;
    let generated = tonic_prost_build::configure().build_transport(false).include_file("front.rs");
    generated.compile_fds(compiler.file_descriptor_set())?;

    // Envoy refuses `response_body` on a repeated field when it loads the set.
    let without = out.join("envoy").join(FRONT);
    fs::create_dir_all(without.parent().ok_or("the proto has a directory")?)?;
    let proto = fs::read_to_string(own.join(FRONT))?;
    let lines: Vec<_> = proto.lines().filter(|line| !line.contains("response_body:")).collect();
    fs::write(&without, lines.join("\n"))?;
    let compiler = compile(&out.join("envoy"), &contracts)?;
    fs::write(out.join("front.envoy.pb"), compiler.encode_file_descriptor_set())?;
    Ok(())
}

fn compile(own: &Path, contracts: &Path) -> Result<protox::Compiler, Box<dyn Error>> {
    let mut compiler = protox::Compiler::new([own, contracts])?;
    compiler.include_imports(true).include_source_info(true);
    compiler.open_files([FRONT, "google/rpc/status.proto", "google/rpc/error_details.proto"])?;
    Ok(compiler)
}
