//! Writes the gRPC service config: timeout and retry policy of each RPC, in the JSON that gRPC clients take.
//!
//! The format: <https://github.com/grpc/grpc/blob/master/doc/service_config.md>.

use std::collections::BTreeMap;
use std::time::Duration;

use prost_reflect::DescriptorPool;

use crate::calls::{RETRY_RATIO, Retries, TIMEOUT};
use crate::code;
use crate::options::{InvalidOption, RpcOptions};

/// Tokens of a client's retry budget: it retries while more than half of them are left.
const MAX_TOKENS: u32 = 100;

/// Returns the service config of all RPCs in a descriptor pool.
///
/// # Errors
/// If an RPC has options that contradict each other.
pub fn document(pool: &DescriptorPool) -> Result<String, InvalidOption> {
    let mut names: BTreeMap<(bool, bool, bool), Vec<String>> = BTreeMap::new();
    for service in pool.services() {
        for method in service.methods() {
            let RpcOptions { access, idempotent, .. } = RpcOptions::of(&method)?;
            let group = names.entry((access.is_internal(), method.is_server_streaming(), idempotent)).or_default();
            group.push(format!(r#"{{"service": "{}", "method": "{}"}}"#, service.full_name(), method.name()));
        }
    }
    let groups = names.into_iter().map(|((is_internal, streams, is_idempotent), mut names)| {
        names.sort();
        method_config(&names, streams, Retries::of(is_internal, is_idempotent))
    });
    let groups: Vec<_> = groups.collect();
    Ok(format!(
        r#"{{
  "methodConfig": [
{}
  ],
  "retryThrottling": {{"maxTokens": {MAX_TOKENS}, "tokenRatio": {RETRY_RATIO}}}
}}
"#,
        groups.join(",\n")
    ))
}

/// Returns the entry of the RPCs that have the same timeout and retry policy. A stream has no timeout.
fn method_config(names: &[String], streams: bool, retries: Option<&Retries>) -> String {
    let mut members = vec![format!("\"name\": [\n        {}\n      ]", names.join(",\n        "))];
    if !streams {
        members.push(format!("\"timeout\": \"{}\"", seconds(TIMEOUT)));
    }
    if let Some(Retries { attempts, base, longest, codes }) = retries {
        let codes: Vec<_> = codes.iter().map(|code| format!("\"{}\"", code::name(*code))).collect();
        members.push(format!(
            r#""retryPolicy": {{
        "maxAttempts": {attempts},
        "initialBackoff": "{}",
        "maxBackoff": "{}",
        "backoffMultiplier": 2,
        "retryableStatusCodes": [{}]
      }}"#,
            seconds(*base),
            seconds(*longest),
            codes.join(", ")
        ));
    }
    format!("    {{\n      {}\n    }}", members.join(",\n      "))
}

/// Returns a duration in proto3's JSON mapping.
fn seconds(duration: Duration) -> String {
    format!("{}s", duration.as_secs_f64())
}
