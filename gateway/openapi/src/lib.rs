//! The OpenAPI document of the REST surface, made from the descriptors.
//!
//! What the protos say comes from them: routes, fields, enums, who may call, and in their comments the words. What they
//! can't say comes from `words.yaml`: how to start, limits, examples, the reasons of errors.

mod contract;
mod examples;
mod failures;
mod operations;
mod prose;
mod schemas;
mod words;
mod yaml;

use std::error::Error;

use crate::contract::Contract;
use crate::operations::Operations;
use crate::words::Words;
use crate::yaml::{Map, map, text};

/// Where the document comes from, for whoever opens it.
const HEAD: &str =
    "# Made from the protos and words.yaml by `cargo run -p openapi > gateway/openapi/swagger.yaml`: edit those.\n";

/// The document, as YAML (OpenAPI 3.1).
///
/// # Errors
/// If the words name what the descriptors don't have, or lack what the document must say.
pub fn document() -> Result<String, Box<dyn Error>> {
    let words = Words::load()?;
    let contract = Contract::load()?;
    let written = Operations::write(&contract, &words)?;

    let mut components = map([("securitySchemes", words.security_schemes.clone())]);
    components.insert(text("parameters"), words.parameters.clone().into());
    components.insert(text("headers"), words.headers.clone().into());
    components.insert(text("responses"), written.responses.into());
    components.insert(text("examples"), written.examples.into());
    components.insert(text("schemas"), written.schemas.into());

    let mut document = Map::new();
    document.insert(text("openapi"), text("3.1.0"));
    document.insert(text("info"), words.info.clone());
    document.insert(text("servers"), words.servers.clone());
    document.insert(text("security"), yaml::list([map([("accessToken", yaml::list([]))]).into()]));
    document.insert(
        text("tags"),
        yaml::list(
            words
                .tags
                .iter()
                .map(|tag| map([("name", text(&tag.name)), ("description", text(&tag.description))]).into()),
        ),
    );
    document.insert(text("paths"), written.paths.into());
    document.insert(text("components"), components.into());
    Ok(format!("{HEAD}{}", yaml::document(&document)))
}
