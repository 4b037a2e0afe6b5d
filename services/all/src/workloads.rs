//! Writes workload tokens, and the keys that verify them, for deployments without a cluster that issues them.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use chassis::identity::Issuer;
use kernel::{BoxError, SystemClock};
use proto::registry;

use crate::files::{make, write_whole};

const DAY: Duration = Duration::from_secs(24 * 3600);
/// Maximum characters of a name: those of a DNS label, as names of service accounts are.
const MAX_NAME: usize = 63;

/// Parses the name of a workload.
///
/// # Errors
/// If it is none.
pub fn name(text: &str) -> Result<String, String> {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let has_edges = text.starts_with('-') || text.ends_with('-');
    if text.is_empty() || text.len() > MAX_NAME || has_edges || !text.chars().all(is_plain) {
        return Err(format!("write lower-case letters, digits and hyphens between them, {MAX_NAME} at most"));
    }
    Ok(text.to_owned())
}

/// Returns the workloads that have a token: the services and the front.
fn workloads() -> impl Iterator<Item = &'static str> {
    registry::NAMES.into_iter().chain([registry::FRONT])
}

/// Writes a token for each name, or for the services and the front, and adds the key that verifies them to `jwks.json`.
/// Returns the names.
///
/// # Errors
/// If there is a token already, unless `force` is set, or if a file can't be read or written.
pub fn write_keys<'a>(names: &'a [String], dir: &Path, force: bool, days: u32) -> Result<Vec<&'a str>, BoxError> {
    let names: Vec<&str> =
        if names.is_empty() { workloads().collect() } else { names.iter().map(|it| &**it).collect() };
    let token_of = |name: &str| dir.join(format!("{name}.token"));
    if let Some(there) = names.iter().map(|name| token_of(name)).find(|file| !force && file.exists()) {
        return Err(format!("{} is there already: --force replaces it", there.display()).into());
    }
    let issuer = Issuer::generate(Arc::new(SystemClock))?;
    make(dir)?;
    let jwks = dir.join("jwks.json");
    write_whole(&jwks, &merged(&issuer, std::slice::from_ref(&jwks))?)?;
    // Public keys, which services of other users read too.
    std::fs::set_permissions(&jwks, Permissions::from_mode(0o644))?;
    for name in &names {
        write_whole(&token_of(name), &issuer.mint(name, DAY * days))?;
    }
    Ok(names)
}

/// Creates the missing tokens, or all. The signing key is never stored: each run generates another, and adds its public
/// key to every key set, beside the earlier ones, before it writes a token.
///
/// # Errors
/// If a file can't be read or written.
pub fn prepare(dir: &Path, renew: bool, days: u32) -> Result<(), BoxError> {
    let place = |name: &str| dir.join(name);
    let names: Vec<_> = workloads().filter(|name| renew || !place(name).join("token").exists()).collect();
    if names.is_empty() {
        return Ok(());
    }
    let issuer = Issuer::generate(Arc::new(SystemClock))?;
    let files: Vec<_> = workloads().map(|name| place(name).join("jwks.json")).collect();
    let keys = merged(&issuer, &files)?;
    for name in workloads() {
        make(&place(name))?;
        write_whole(&place(name).join("jwks.json"), &keys)?;
    }
    names.into_iter().try_for_each(|name| write_whole(&place(name).join("token"), &issuer.mint(name, DAY * days)))
}

/// Returns the key set of an issuer with the keys of these files, those that are there.
fn merged(issuer: &Issuer, files: &[PathBuf]) -> Result<String, BoxError> {
    let mut keys = keys_of(issuer.jwks());
    for file in files.iter().filter(|file| file.exists()) {
        let known = std::fs::read(file).map_err(BoxError::from).and_then(|json| Ok(serde_json::from_slice(&json)?));
        let known = known.map_err(|error| format!("{}: {error}", file.display()))?;
        keys.extend(keys_of(&known).into_iter().filter(|known| !keys.contains(known)).collect::<Vec<_>>());
    }
    Ok(serde_json::json!({ "keys": keys }).to_string())
}

/// Returns the keys of a JSON Web Key Set.
fn keys_of(jwks: &serde_json::Value) -> Vec<serde_json::Value> {
    jwks["keys"].as_array().cloned().unwrap_or_default()
}
