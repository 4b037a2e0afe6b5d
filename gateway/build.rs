//! Takes the files of Swagger UI that the page at `/docs` needs out of the archive of its source, so that the binary
//! holds only these, each as the gzip file that browsers take. Writes the rules of fields that `swagger.yaml` documents.
#![allow(clippy::disallowed_methods, reason = "cargo configures build scripts by variables")]

#[path = "build/rules.rs"]
mod rules;

use std::env;
use std::error::Error;
use std::fs::{self, File};
use std::io::{self, Cursor};
use std::path::PathBuf;

use flate2::Compression;
use flate2::write::GzEncoder;
use utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED;
use zip::ZipArchive;

/// Folder of the files in the archive, by the version that is in it.
const FOLDER: &str = "swagger-ui-5.32.6/dist";

/// The OpenAPI document.
const DOCUMENT: &str = "openapi/swagger.yaml";

const FILES: [&str; 2] = ["swagger-ui-bundle.js", "swagger-ui.css"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=build");
    println!("cargo:rerun-if-changed={DOCUMENT}");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let mut archive = ZipArchive::new(Cursor::new(SWAGGER_UI_VENDORED))?;
    for name in FILES {
        let mut file = archive.by_name(&format!("{FOLDER}/{name}"))?;
        let mut gzip = GzEncoder::new(File::create(out.join(format!("{name}.gz")))?, Compression::best());
        io::copy(&mut file, &mut gzip)?;
        gzip.finish()?;
    }
    fs::write(out.join("rules.rs"), rules::written(&fs::read_to_string(DOCUMENT)?)?)?;
    Ok(())
}
