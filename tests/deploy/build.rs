//! Copies the `main.rs` of every program to where the tests include it, so that they know its settings as clap does,
//! without building and running thirteen programs.
#![allow(clippy::disallowed_methods, reason = "cargo configures build scripts by variables")]

use std::error::Error;
use std::path::PathBuf;
use std::{env, fs};

/// Programs and their source directories.
const PROGRAMS: [(&str, &str); 13] = [
    ("appointments", "services/appointments"),
    ("audit", "services/audit"),
    ("auth", "services/auth"),
    ("clients", "services/clients"),
    ("gateway", "gateway"),
    ("journals", "services/journals"),
    ("mapping", "services/mapping"),
    ("mesh", "services/all"),
    ("messages", "services/messages"),
    ("search", "services/search"),
    ("sessions", "services/sessions"),
    ("therapists", "services/therapists"),
    ("vault", "services/vault"),
];

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("../..");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    for (name, directory) in PROGRAMS {
        let path = root.join(directory).join("src/main.rs");
        println!("cargo:rerun-if-changed={}", path.display());
        let source = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        // Inner docs can't be included in another file, and tests and the allocator must not be.
        let code = source.split("#[cfg(test)]").next().unwrap_or_default().lines();
        let own = ["//!", "#[global_allocator]", "static ALLOCATOR:"];
        let code: Vec<_> = code.filter(|line| !own.iter().any(|own| line.starts_with(own))).collect();
        fs::write(out.join(format!("{name}.rs")), code.join("\n"))?;
    }
    Ok(())
}
