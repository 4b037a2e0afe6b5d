//! Compiles the protos without a system protoc, and turns the rules beside the routes into a table that a service can
//! hold in its binary. An RPC without a rule, or with a rule that contradicts its route, fails here.
#![allow(clippy::disallowed_methods, reason = "cargo configures build scripts by variables")]

#[path = "src/options.rs"]
#[allow(dead_code, unreachable_pub, reason = "the library exports it")]
mod options;
#[path = "src/path_template.rs"]
#[allow(dead_code, unreachable_pub, reason = "the library exports it")]
mod path_template;
#[path = "src/rpc.rs"]
#[allow(unreachable_pub, reason = "the library exports it")]
mod rpc;

use std::collections::BTreeSet;
use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, FieldDescriptor, MessageDescriptor, MethodDescriptor, Value};

use crate::options::{AccessRule, InvalidOption, RpcOptions};

const ROOTS: [&str; 24] = [
    "therapy/appointments/v1/appointments.proto",
    "therapy/appointments/v1/facts.proto",
    "therapy/audit/v1/audit.proto",
    "therapy/audit/v1/record.proto",
    "therapy/auth/v1/accounts.proto",
    "therapy/auth/v1/auth.proto",
    "therapy/auth/v1/logins.proto",
    "therapy/clients/v1/clients.proto",
    "therapy/clients/v1/names.proto",
    "therapy/errors/v1/reason.proto",
    "therapy/events/v1/events.proto",
    "therapy/journals/v1/journals.proto",
    "therapy/journals/v1/texts.proto",
    "therapy/mapping/v1/consent.proto",
    "therapy/mapping/v1/invitations.proto",
    "therapy/mapping/v1/mapping.proto",
    "therapy/messages/v1/messages.proto",
    "therapy/search/v1/search.proto",
    "therapy/sessions/v1/sessions.proto",
    "therapy/sessions/v1/slots.proto",
    "therapy/sessions/v1/texts.proto",
    "therapy/therapists/v1/names.proto",
    "therapy/therapists/v1/therapists.proto",
    "therapy/vault/v1/vault.proto",
];

/// Details of errors travel as `Any`: both fronts print them only if their types are in the set.
const DETAILS: [&str; 2] = ["google/rpc/status.proto", "google/rpc/error_details.proto"];

fn main() -> Result<(), Box<dyn Error>> {
    let here = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let out = PathBuf::from(env::var("OUT_DIR")?);

    let mut compiler = protox::Compiler::new([&here])?;
    compiler.include_imports(true).include_source_info(true);
    compiler.open_files(ROOTS)?.open_files(DETAILS)?;
    for file in compiler.files() {
        if let Some(path) = file.path() {
            println!("cargo:rerun-if-changed={}", path.display());
        }
    }

    // `encode_…` keeps the options that are extensions; `file_descriptor_set()` would lose them.
    let encoded = compiler.encode_file_descriptor_set();
    fs::write(out.join("descriptors.pb"), &encoded)?;
    let pool = DescriptorPool::decode(encoded.as_slice())?;
    fs::write(out.join("rpcs.rs"), rpc_table(&pool)?)?;
    fs::write(out.join("etags.rs"), etags(&pool)?)?;
    let redacted = redacted(&pool);
    fs::write(out.join("redacted.rs"), debug_of(&redacted)?)?;
    generate(&compiler, &pool, &redacted)?;
    prepare_for_envoy(&pool, &encoded, &out)
}

/// The Rust code, clients and servers each behind a feature, so that a crate's manifest says whom it calls.
fn generate(
    compiler: &protox::Compiler,
    pool: &DescriptorPool,
    redacted: &[MessageDescriptor],
) -> Result<(), Box<dyn Error>> {
    let packages: BTreeSet<_> = pool.services().map(|s| s.package_name().to_owned()).collect();
    let without_debug = redacted.iter().map(|message| format!(".{}", message.full_name()));
    let mut config = tonic_prost_build::configure()
        .build_transport(false)
        .skip_debug(without_debug)
        .extern_path(".google.api.HttpBody", "crate::HttpBody");
    for package in packages {
        let domain = package.split('.').nth(1).ok_or("a package is therapy.<domain>.v1")?.to_owned();
        config = config
            .client_mod_attribute(&package, format!("#[cfg(feature = \"{domain}-client\")]"))
            .server_mod_attribute(&package, format!("#[cfg(feature = \"{domain}-server\")]"));
    }
    config.compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}

/// The messages with a field that must not be printed (`debug_redact`).
fn redacted(pool: &DescriptorPool) -> Vec<MessageDescriptor> {
    let secret = |field: FieldDescriptor| {
        let told = field.options().get_field_by_name("debug_redact").and_then(|told| told.as_bool());
        told == Some(true)
    };
    pool.all_messages().filter(|message| message.fields().any(secret)).collect()
}

/// Generates their `Debug`, which prints the name alone.
fn debug_of(redacted: &[MessageDescriptor]) -> Result<String, Box<dyn Error>> {
    let mut code = String::new();
    for message in redacted {
        let name = message.name();
        let path = message.full_name().strip_prefix("therapy.").ok_or("only our own messages are redacted")?;
        let path = path.replace('.', "::");
        writeln!(
            code,
            "impl ::core::fmt::Debug for crate::{path} {{
    fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {{
        f.debug_struct({name:?}).finish_non_exhaustive()
    }}
}}"
        )?;
    }
    Ok(code)
}

/// Implements the trait of answers that have an etag.
fn etags(pool: &DescriptorPool) -> Result<String, Box<dyn Error>> {
    let methods = pool.services().flat_map(|service| service.methods().collect::<Vec<_>>());
    let answers = methods.map(|method| method.output()).filter(options::has_etag);
    let names: BTreeSet<_> = answers.map(|answer| answer.full_name().to_owned()).collect();
    let mut code = String::new();
    for name in names {
        let path = name.strip_prefix("therapy.").ok_or("only our own messages have etags")?.replace('.', "::");
        writeln!(
            code,
            "impl crate::Versioned for crate::{path} {{
    fn etag(&self) -> &str {{
        &self.etag
    }}
}}"
        )?;
    }
    Ok(code)
}

/// Envoy refuses `response_body` on a repeated field when it loads the set, so its copy is made without; its filter
/// cuts the array out of the answer instead.
fn prepare_for_envoy(pool: &DescriptorPool, encoded: &[u8], out: &Path) -> Result<(), Box<dyn Error>> {
    let http = pool.get_extension_by_name(options::HTTP).ok_or("google.api.http is not imported")?;
    let kind =
        pool.get_message_by_name("google.protobuf.FileDescriptorSet").ok_or("descriptor.proto is not imported")?;
    let mut set = DynamicMessage::decode(kind, encoded)?;
    for file in messages_mut(&mut set, "file") {
        strip_response_body(file, &http);
        // Comments are two thirds of the set, and nothing that Envoy reads.
        file.clear_field_by_name("source_code_info");
    }
    fs::write(out.join("descriptors.envoy.pb"), set.encode_to_vec())?;
    Ok(())
}

fn strip_response_body(file: &mut DynamicMessage, http: &prost_reflect::ExtensionDescriptor) {
    for service in messages_mut(file, "service") {
        for method in messages_mut(service, "method") {
            if let Some(Value::Message(options)) = method.get_field_by_name_mut("options")
                && options.has_extension(http)
                && let Value::Message(rule) = options.get_extension_mut(http)
            {
                rule.clear_field_by_name("response_body");
                messages_mut(rule, "additional_bindings").for_each(|alias| alias.clear_field_by_name("response_body"));
            }
        }
    }
}

fn messages_mut<'a>(message: &'a mut DynamicMessage, field: &str) -> impl Iterator<Item = &'a mut DynamicMessage> {
    let list = message.get_field_by_name_mut(field).and_then(Value::as_list_mut);
    list.into_iter().flatten().filter_map(Value::as_message_mut)
}

fn rpc_table(pool: &DescriptorPool) -> Result<String, Box<dyn Error>> {
    let mut rows = Vec::new();
    for service in pool.services() {
        for method in service.methods() {
            rows.push((format!("/{}/{}", service.full_name(), method.name()), row(&method)?));
        }
    }
    rows.sort();
    let mut table = String::from("/// Every RPC of the mesh, ordered by path.\npub static RPCS: &[Rpc] = &[\n");
    for (path, row) in rows {
        writeln!(table, "    Rpc {{ path: {path:?}, {row} }},")?;
    }
    table.push_str("];\n");
    Ok(table)
}

fn row(method: &MethodDescriptor) -> Result<String, InvalidOption> {
    let options = RpcOptions::of(method)?;
    let response_body = options.response_body(method);
    let AccessRule { callers, workloads, http_status, ends } = options.access;
    Ok(format!(
        "callers: &[{}], workloads: &{workloads:?}, http_status: {http_status}, response_body: {response_body:?}, \
         streams: {}, ends: Ends::{ends:?}, idempotent: {}, reads: {}, takes_if_match: {}, answers_etag: {}",
        callers.iter().map(|caller| format!("Caller::{caller:?}")).collect::<Vec<_>>().join(", "),
        method.is_server_streaming(),
        options.idempotent,
        options.reads,
        options.takes_if_match,
        options::has_etag(&method.output()),
    ))
}
