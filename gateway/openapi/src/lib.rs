//! The OpenAPI document of the REST surface, made from the descriptors.
//!
//! Routes, fields, enums, callers and, from their comments, descriptions come from the protos. The parts that protos can't
//! express come from `overlay.yaml`: the starting guide, limits, examples, the reasons of errors.

mod contract;
mod examples;
mod failures;
mod operations;
mod overlay;
mod prose;
mod reasons;
mod schemas;
mod yaml;

use std::error::Error;

use crate::contract::Contract;
use crate::operations::Operations;
use crate::overlay::Overlay;
use crate::yaml::{Map, map, text};

/// Header comment of the document: its sources, and the command that writes it.
const HEAD: &str = "# Made from the protos and overlay.yaml by `cargo xtask regenerate`: edit those.\n";

/// Returns the page about the reasons of errors, `docs/errors.md`, as Markdown.
///
/// # Errors
/// If the descriptors can't be read, or lack a part of a reason.
pub fn errors(descriptors: &[u8]) -> Result<String, Box<dyn Error>> {
    reasons::page(&Contract::read(descriptors)?, &Overlay::load()?)
}

/// Returns the document of an encoded `google.protobuf.FileDescriptorSet` as YAML (OpenAPI 3.1).
///
/// # Errors
/// If the descriptors can't be read, or the overlay names something that they don't have, or lacks a required part.
pub fn document(descriptors: &[u8]) -> Result<String, Box<dyn Error>> {
    let overlay = Overlay::load()?;
    let contract = Contract::read(descriptors)?;
    let written = Operations::write(&contract, &overlay)?;

    let mut components = map([("securitySchemes", overlay.security_schemes.clone())]);
    components.insert(text("parameters"), overlay.parameters.clone().into());
    components.insert(text("headers"), overlay.headers.clone().into());
    components.insert(text("responses"), written.responses.into());
    components.insert(text("examples"), written.examples.into());
    components.insert(text("schemas"), written.schemas.into());

    let mut info = overlay.info.clone();
    info.insert(text("version"), text(env!("CARGO_PKG_VERSION")));
    let mut document = Map::new();
    document.insert(text("openapi"), text("3.1.0"));
    document.insert(text("info"), info.into());
    document.insert(text("servers"), overlay.servers.clone());
    document.insert(text("security"), yaml::list([map([("accessToken", yaml::list([]))]).into()]));
    document.insert(
        text("tags"),
        yaml::list(
            overlay
                .tags
                .iter()
                .map(|tag| map([("name", text(&tag.name)), ("description", text(&tag.description))]).into()),
        ),
    );
    document.insert(text("paths"), written.paths.into());
    document.insert(text("components"), components.into());
    Ok(format!("{HEAD}{}", yaml::document(&document)))
}
