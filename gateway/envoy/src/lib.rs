//! Renders the configuration of Envoy, the production front, from one template: for tests, for Docker Compose, for Kubernetes.
//!
//! ```
//! use envoy_config::{Target, files};
//!
//! let names: Vec<_> = files(Target::Kubernetes)?.into_iter().map(|(name, _)| name).collect();
//! assert_eq!(names, ["envoy.yaml", "front.lua", "query.lua", "descriptors.pb", "workload.yaml"]);
//! # Ok::<_, envoy_config::Error>(())
//! ```
//!
//! The files belong in one directory, [`Settings::directory`], where Envoy is started with
//! `envoy --disable-hot-restart --config-path <directory>/envoy.yaml`.

mod query;
mod rpcs;
mod settings;

use std::collections::BTreeSet;

pub use settings::{MAX_BODY, Rate, Settings, Target, Tls, TokenRules, Upstream};

use front_settings::{HostPattern, NoHosts, Origin, headers};
use minijinja::syntax::SyntaxConfig;
use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value, context};

use crate::rpcs::Rpc;

const TEMPLATE: &str = include_str!("../envoy.yaml.tmpl");
const QUERY: &str = include_str!("../lua/query.lua.tmpl");

/// Lua filter for everything that Envoy's own filters can't do; the same for every target. A filter is one file, so the
/// parts follow each other, each after those that it uses.
const FRONT: &str = concat!(
    include_str!("../lua/hosts.lua"),
    "\n",
    include_str!("../lua/headers.lua.tmpl"),
    "\n",
    include_str!("../lua/cors.lua.tmpl"),
    "\n",
    include_str!("../lua/bodies.lua"),
    "\n",
    include_str!("../lua/errors.lua"),
    "\n",
    include_str!("../lua/filter.lua"),
);

/// The RPC that publishes the keys of access tokens.
const KEYS: &str = "/therapy.auth.v1.AuthService/GetJwks";

/// Failure to render a configuration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The descriptor set can't be used.
    #[error("the descriptors: {0}")]
    Descriptors(String),
    /// A setting can't be written into the file.
    #[error("{0:?} has characters that a setting can't have")]
    Setting(String),
    /// It would listen beyond loopback without a host to answer to.
    #[error(transparent)]
    Hosts(#[from] NoHosts),
    /// The template is broken.
    #[error(transparent)]
    Template(#[from] minijinja::Error),
}

/// A file of the configuration: its name and its bytes.
pub type File = (&'static str, Vec<u8>);

/// Returns the files of a target, with its defaults.
///
/// # Errors
/// As [`Settings::files`].
pub fn files(target: Target) -> Result<Vec<File>, Error> {
    Settings::of(target).files()
}

impl Settings {
    /// Returns every file that Envoy reads: `envoy.yaml`, `front.lua`, `query.lua`, `descriptors.pb`; `workload.yaml` with a
    /// workload token, `certificate.yaml` with TLS.
    ///
    /// # Errors
    /// As [`Settings::render`].
    pub fn files(&self) -> Result<Vec<File>, Error> {
        let mut files = vec![
            ("envoy.yaml", self.render()?.into_bytes()),
            ("front.lua", render_front()?.into_bytes()),
            ("query.lua", self.render_query()?.into_bytes()),
            ("descriptors.pb", self.descriptor_set.to_vec()),
        ];
        if let Some(token) = &self.workload_token {
            files.push((
                "workload.yaml",
                secret("workload", &format!("generic_secret: {{secret: {{filename: \"{token}\"}}}}")),
            ));
        }
        if let Some(Tls { certificate, key }) = &self.tls {
            let directory = certificate.rsplit_once('/').map_or(".", |(directory, _)| directory);
            let kind = format!(
                "tls_certificate: {{certificate_chain: {{filename: \"{certificate}\"}}, private_key: {{filename: \"{key}\"}}, watched_directory: {{path: \"{directory}\"}}}}"
            );
            files.push(("certificate.yaml", secret("certificate", &kind)));
        }
        Ok(files)
    }

    /// Renders `envoy.yaml`.
    ///
    /// # Errors
    /// If the descriptors can't be read, or a setting would break the file.
    pub fn render(&self) -> Result<String, Error> {
        self.check()?;
        let rpcs = self.rpcs()?;
        let services: BTreeSet<_> = rpcs.iter().map(|rpc| rpc.service.as_str()).collect();
        let domains: BTreeSet<_> = rpcs.iter().map(|rpc| rpc.domain.as_str()).collect();
        let clusters = self.upstreams.iter().filter(|(domain, _)| domains.contains(domain.as_str()));

        let values = context! {
            services => Value::from_iter(services),
            rpcs => rpcs.iter().map(values_of).collect::<Value>(),
            rates => buckets(self.rate),
            auth_rates => buckets(self.auth_rate),
            answers => self.local_replies(),
            clusters => clusters
                .map(|(domain, upstream)| context! { domain, host => &upstream.host, port => upstream.port })
                .collect::<Value>(),
            ..self.values(&rpcs)?
        };
        fill("envoy.yaml.tmpl", TEMPLATE, values)
    }

    /// Renders `query.lua`.
    fn render_query(&self) -> Result<String, Error> {
        let rpcs = self.rpcs()?;
        let routes = query::values(rpcs.iter().map(|rpc| (&rpc.method, &*rpc.routes)));
        fill("query.lua.tmpl", QUERY, context! { routes => Value::from_iter(routes) })
    }

    fn rpcs(&self) -> Result<Vec<Rpc>, Error> {
        let all = rpcs::read(&self.descriptor_set)?.into_iter();
        Ok(all.filter(|rpc| self.upstreams.contains_key(&rpc.domain)).collect())
    }

    fn values(&self, rpcs: &[Rpc]) -> Result<Value, Error> {
        let hosts = self.own_hosts()?;
        let keys = rpcs.iter().find(|rpc| rpc.path == KEYS && self.tokens.is_some());
        let bodies: BTreeSet<_> = rpcs.iter().map(Rpc::body).filter(|body| !body.is_empty()).collect();
        let tokens = self.tokens.clone().unwrap_or_default();
        let (access_log_kind, access_log_type) = match self.access_log_file {
            Some(_) => ("file", "file.v3.FileAccessLog"),
            None => ("stdout", "stream.v3.StdoutAccessLog"),
        };
        let otlp = self.otlp.as_ref();
        Ok(context! {
            hosts => hosts.listed().iter().map(HostPattern::to_string).collect::<Vec<_>>().join(" "),
            loopback => hosts.is_loopback().to_string(),
            admin_port => self.admin_port,
            listen_address => self.listen.ip().to_string(),
            listen_port => self.listen.port(),
            directory => &self.directory,
            tls => self.tls.is_some(),
            trusted_hops => self.trusted_hops,
            cors_origins => self.cors_origins.iter().map(Origin::to_string).collect::<Vec<_>>().join(" "),
            bodies => bodies.into_iter().collect::<Vec<_>>().join(" "),
            max_body => self.max_body,
            max_connections => self.max_connections,
            token_issuer => tokens.issuer,
            token_audience => tokens.audience,
            keys_cache => format!("{}s", tokens.keys_cache.as_secs_f64()),
            keys_service => keys.map_or("", |rpc| &rpc.service),
            keys_path => keys.map_or("", |rpc| &rpc.path),
            keys_domain => keys.map_or("", |rpc| &rpc.domain),
            workload_token => self.workload_token.as_deref().unwrap_or_default(),
            otlp_host => otlp.map_or("", |otlp| &otlp.host),
            otlp_port => otlp.map_or(0, |otlp| otlp.port),
            access_log_kind,
            access_log_type,
            access_log_file => self.access_log_file.as_deref().unwrap_or_default(),
            health_interval => format!("{}s", self.health_interval.as_secs_f64()),
        })
    }

    /// Returns Envoy's local replies that depend on the HTTP status alone; the first match counts.
    fn local_replies(&self) -> Value {
        let malformed = "the path, the query or a header is malformed, or can be read in more than one way";
        let late = "the time given to the request is over";
        let large = format!("the body is larger than {} bytes", self.max_body);
        [
            ("EQ", 400, 400, 3, "MALFORMED_REQUEST", malformed),
            ("EQ", 404, 404, 5, "ROUTE_NOT_FOUND", "there is nothing at this path for this method"),
            ("EQ", 408, 408, 4, "DEADLINE_EXCEEDED", late),
            ("EQ", 413, 413, 3, "BODY_TOO_LARGE", &large),
            ("EQ", 429, 429, 8, "RESOURCE_EXHAUSTED", "too much was asked; wait and try again"),
            ("EQ", 431, 431, 3, "HEADERS_TOO_LARGE", "the headers are too large or too many"),
            ("EQ", 501, 400, 3, "MALFORMED_REQUEST", malformed),
            ("EQ", 503, 503, 14, "UNAVAILABLE", "the service can't answer right now; try again"),
            ("EQ", 504, 504, 4, "DEADLINE_EXCEEDED", late),
            // Anything else that fails in the front or on the way is our fault.
            ("GE", 500, 500, 13, "INTERNAL", "something went wrong on our side"),
        ]
        .into_iter()
        .map(|(op, http, status, code, reason, message)| {
            context! { op, http, status, code, reason, message, retry => matches!(http, 429 | 503) }
        })
        .collect()
    }
}

/// Renders `front.lua`, with the headers that pass.
fn render_front() -> Result<String, Error> {
    let values = context! {
        request => [&headers::REQUEST[..], &headers::GRPC_CODING].concat(),
        response => headers::RESPONSE,
        grpc_response => [&headers::GRPC_CODING[..], &headers::GRPC_STATUS].concat(),
        allowed => headers::allowed_to_pages(),
        exposed => headers::exposed_to_pages(),
    };
    fill("front.lua.tmpl", FRONT, values)
}

fn values_of(rpc: &Rpc) -> Value {
    context! {
        path => &rpc.path,
        domain => &rpc.domain,
        template => rpc.template(),
        protected => !rpc.allows_anonymous,
        streams => rpc.streams,
        takes_stream => rpc.takes_stream,
        retryable => rpc.retryable,
    }
}

/// Returns a bucket for each network of a source.
fn buckets(rate: Rate) -> Value {
    let of_networks = rate.of_networks().into_iter();
    of_networks.map(|(bits, rate)| context! { bits, per_second => rate.per_second, burst => rate.burst }).collect()
}

/// Fills a template.
fn fill(name: &str, template: &str, values: Value) -> Result<String, Error> {
    let mut environment = Environment::new();
    // The lines of blocks leave nothing behind, and a name without a value is an error.
    environment
        .set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).keep_trailing_newline(true).build()?);
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    Ok(environment.render_named_str(name, template, values)?)
}

/// Returns a file with the path of a secret. Envoy reads the secret again when a file is moved into its directory, as the
/// cluster does when it renews a mount.
fn secret(name: &str, kind: &str) -> Vec<u8> {
    format!(
        "resources:
  - \"@type\": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret
    name: {name}
    {kind}
"
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_leave_no_lines_behind() {
        let template =
            "  {% for name in names %}\n  - {{name}} {x}\n  {% endfor %}\n{% if none %}\nx\n{% endif %}\nlast\n";
        let values = context! { names => Value::from_iter(["a", "\"b\""]), none => "" };
        assert_eq!(fill("t", template, values).unwrap(), "  - a {x}\n  - \"b\" {x}\nlast\n");
    }

    #[test]
    fn template_error_names_its_line() {
        for template in ["a\n{{nothing}}", "a\n{% if nothing %}{% endif %}", "a\n{% endif %}", "a\n{% if true %}"] {
            let error = fill("t", template, context! {}).unwrap_err().to_string();
            assert!(error.ends_with("(in t:2)"), "{error}");
        }
    }
}
