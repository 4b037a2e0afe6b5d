//! The page about the reasons of errors, `docs/errors.md`.

use std::error::Error;

use prost_reflect::{EnumDescriptor, EnumValueDescriptor, Kind};
use proto::code;

use crate::contract::Contract;
use crate::overlay::Overlay;

/// Full name of the option that holds the code of a reason.
const CODE: &str = "therapy.errors.v1.code";

const HEAD: &str = "\
<!-- Made from proto/therapy/errors/v1/reason.proto by `cargo xtask regenerate`: edit that. -->

# Errors

An error is a google.rpc.Status: over REST as JSON, over gRPC in the status and its details. One of the details is a
google.rpc.ErrorInfo of the domain `therapy`, whose reason is for programs: it never changes, and comes with one code only. The
message is for people and may change.

Later versions may have more reasons. A program treats one that it doesn't know by the code, or by the status of HTTP.

| reason | code | HTTP | when | what to do |
|---|---|---|---|---|
";

const FIELDS: &str = "
## Fields

`INVALID_FIELDS` has a google.rpc.BadRequest as well, which names every bad field, parameter or header at once. Each has a description
for people and a reason for programs:

| reason | when | what to do |
|---|---|---|
";

/// Returns the name of a reason's code.
///
/// # Errors
/// If the list of reasons lacks it, or gives it no code.
pub(crate) fn code_of(contract: &Contract, name: &str) -> Result<String, String> {
    let value = contract.reasons.get_value_by_name(name);
    let value = value.ok_or_else(|| format!("overlay.yaml: {name} is no reason of reason.proto"))?;
    option(&value).ok_or_else(|| format!("reason.proto: {name} has no code"))
}

fn option(value: &EnumValueDescriptor) -> Option<String> {
    let extension = value.parent_enum().parent_pool().get_extension_by_name(CODE)?;
    let Kind::Enum(codes) = extension.kind() else { return None };
    let options = value.options();
    let number = options.has_extension(&extension).then(|| options.get_extension(&extension).as_enum_number())??;
    Some(codes.get_value(number)?.name().to_owned())
}

/// Returns the page.
///
/// # Errors
/// If a reason has no code, or its comment doesn't say both when it is given and what to do.
pub(crate) fn page(contract: &Contract, overlay: &Overlay) -> Result<String, Box<dyn Error>> {
    let listed = overlay.reasons()?;
    let mut page = HEAD.to_owned();
    for value in sent(&contract.reasons) {
        let name = code_of(contract, value.name())?;
        let code = code::from_name(&name).ok_or_else(|| format!("{name} is no code"))?;
        let own = listed.iter().find(|(name, _)| name == value.name()).map(|(_, reason)| reason.statuses.as_slice());
        let statuses = own.filter(|own| !own.is_empty()).map_or_else(|| vec![code::http_status(code)], <[u16]>::to_vec);
        let statuses = statuses.iter().map(u16::to_string).collect::<Vec<_>>().join(", ");
        let (when, remedy) = sentences(contract, &value)?;
        page.push_str(&format!("| `{}` | {} | {statuses} | {when} | {remedy} |\n", value.name(), name));
    }
    page.push_str(FIELDS);
    for value in sent(&contract.field_reasons) {
        let (when, remedy) = sentences(contract, &value)?;
        page.push_str(&format!("| `{}` | {when} | {remedy} |\n", value.name()));
    }
    Ok(page)
}

/// Returns the values of an enum without the unspecified one.
fn sent(kind: &EnumDescriptor) -> impl Iterator<Item = EnumValueDescriptor> {
    kind.values().filter(|value| value.number() != 0)
}

/// Returns the two parts of a reason's comment: the sentence that says when it is given, and what to do.
fn sentences(contract: &Contract, value: &EnumValueDescriptor) -> Result<(String, String), String> {
    let comment = contract.markdown(&value.parent_enum().parent_file(), value.path());
    let (when, remedy) =
        comment.split_once(". ").ok_or_else(|| format!("reason.proto: {} does not say what to do", value.name()))?;
    Ok((format!("{when}."), remedy.to_owned()))
}
