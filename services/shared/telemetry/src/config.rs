//! Settings of logs, and of the export of telemetry.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use tracing_subscriber::filter::{LevelFilter, Targets};

/// Levels of libraries that log more than an operator wants to know, unless they are asked by name.
const QUIET: &str = "aws_config=warn,aws_sdk_dynamodb=warn,aws_smithy_http_client=warn,aws_smithy_runtime=warn,\
                     aws_smithy_runtime_api=warn,dynoxide=error,h2=warn,hyper=warn,hyper_util=warn,opentelemetry=warn,rustls=warn,\
                     tonic=warn,tower=warn";

/// Logs and telemetry.
#[derive(Debug, Clone, Default, clap::Args)]
#[group(skip)]
#[command(next_help_heading = "Telemetry")]
pub struct Config {
    /// Format of log lines: `pretty` for people, `json` for machines.
    #[arg(long, env = "MESH_LOG_FORMAT", value_enum, default_value_t, value_name = "FORMAT")]
    pub log_format: LogFormat,
    /// Filter of log lines: a level, or `target=level` pairs, with commas between: `info,dynamo=debug`.
    #[arg(long, env = "MESH_LOG", default_value_t, value_name = "FILTER")]
    pub log: LogFilter,
    /// Endpoints of spans, metrics and logs.
    #[command(flatten)]
    pub otlp: Otlp,
}

/// The collector that gets spans, metrics and logs by OTLP over gRPC; what has no endpoint is not exported.
///
/// The names and meanings are those of the OpenTelemetry specification, where an empty variable is one that isn't set.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args)]
#[group(skip)]
pub struct Otlp {
    /// The OTLP/gRPC endpoint of the collector, such as http://localhost:4317; nothing is exported without one.
    ///
    /// Obeyed too, as OpenTelemetry defines them: OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES, OTEL_TRACES_SAMPLER and
    /// its _ARG, OTEL_EXPORTER_OTLP_HEADERS, _TIMEOUT, _COMPRESSION (gzip) and _INSECURE with their forms per signal,
    /// OTEL_BSP_*, OTEL_BLRP_* and OTEL_METRIC_EXPORT_INTERVAL.
    #[arg(id = "otlp_endpoint", long = "otlp-endpoint", env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_name = "URL")]
    pub endpoint: Option<String>,
    /// The endpoint for spans, if it is another.
    #[arg(long = "otlp-traces-endpoint", env = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", value_name = "URL")]
    pub traces_endpoint: Option<String>,
    /// The endpoint for metrics, if it is another.
    #[arg(long = "otlp-metrics-endpoint", env = "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", value_name = "URL")]
    pub metrics_endpoint: Option<String>,
    /// The endpoint for logs, if it is another.
    #[arg(long = "otlp-logs-endpoint", env = "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", value_name = "URL")]
    pub logs_endpoint: Option<String>,
    /// The protocol of the collector; only `grpc` is spoken.
    #[arg(long = "otlp-protocol", env = "OTEL_EXPORTER_OTLP_PROTOCOL", value_name = "PROTOCOL", value_parser = spoken)]
    pub protocol: Option<String>,
    /// `true` switches the export off, whatever the endpoints say.
    #[arg(
        long = "otel-sdk-disabled",
        env = "OTEL_SDK_DISABLED",
        value_name = "BOOLEAN",
        action = clap::ArgAction::Set,
        default_value = "false",
        value_parser = is_true
    )]
    pub disabled: bool,
}

/// By the specification anything but `true`, in any case, is false.
fn is_true(text: &str) -> Result<bool, Infallible> {
    Ok(text.eq_ignore_ascii_case("true"))
}

fn spoken(protocol: &str) -> Result<String, String> {
    match protocol {
        "grpc" | "" => Ok(protocol.to_owned()),
        other => Err(format!("only grpc is spoken, not {other}: name the collector's gRPC endpoint")),
    }
}

impl Otlp {
    /// One collector for all three signals.
    #[must_use]
    pub fn to(endpoint: impl Into<String>) -> Self {
        Self { endpoint: Some(endpoint.into()), ..Self::default() }
    }

    /// Returns the endpoint for spans.
    #[must_use]
    pub fn traces(&self) -> Option<&str> {
        self.resolve(self.traces_endpoint.as_deref())
    }

    /// Returns the endpoint for metrics.
    #[must_use]
    pub fn metrics(&self) -> Option<&str> {
        self.resolve(self.metrics_endpoint.as_deref())
    }

    /// Returns the endpoint for logs.
    #[must_use]
    pub fn logs(&self) -> Option<&str> {
        self.resolve(self.logs_endpoint.as_deref())
    }

    fn resolve<'a>(&'a self, own: Option<&'a str>) -> Option<&'a str> {
        let set = |url: &&str| !url.is_empty();
        own.filter(set).or(self.endpoint.as_deref().filter(set)).filter(|_| !self.disabled)
    }
}

/// Format of log lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// One readable line.
    #[default]
    Pretty,
    /// One JSON object on a line.
    Json,
}

impl fmt::Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pretty => "pretty",
            Self::Json => "json",
        })
    }
}

/// Filter of log lines, as `RUST_LOG` writes it but for its span and field filters: `info`, `warn,dynamo=debug`,
/// `auth=off`.
#[derive(Debug, Clone)]
pub struct LogFilter {
    text: String,
    targets: Targets,
}

impl LogFilter {
    pub(crate) fn targets(&self) -> Targets {
        self.targets.clone()
    }
}

impl Default for LogFilter {
    fn default() -> Self {
        let quiet: Targets = QUIET.parse().unwrap_or_default();
        Self { text: "info".into(), targets: quiet.with_default(LevelFilter::INFO) }
    }
}

impl FromStr for LogFilter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        for directive in text.split(',').map(str::trim) {
            let (target, level) = directive.rsplit_once('=').unwrap_or(("", directive));
            let target_fits = !target.contains(|c: char| !(c.is_alphanumeric() || ":_-".contains(c)));
            if level.parse::<LevelFilter>().is_err() || level.is_empty() || !target_fits {
                return Err(format!(
                    "'{directive}' is neither a level (off, error, warn, info, debug, trace) nor a pair like dynamo=debug"
                ));
            }
        }
        let targets = format!("{QUIET},{text}").parse().map_err(|error| format!("{error}"))?;
        Ok(Self { text: text.to_owned(), targets })
    }
}

impl fmt::Display for LogFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use tracing::Level;

    use super::*;

    /// About the program.
    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        telemetry: Config,
    }

    fn parse(args: &[&str]) -> Result<Config, String> {
        let args = std::iter::once("x").chain(args.iter().copied());
        Cli::try_parse_from(args).map(|cli| cli.telemetry).map_err(|error| error.to_string())
    }

    #[test]
    fn malformed_filter_is_refused_with_valid_levels() {
        for bad in ["", "inof", "info,", "dynamo=loud", "dynamo=", "[span]=debug", "a{b=c}=info", "info;debug"] {
            let refusal = parse(&["--log", bad]).expect_err(bad);
            assert!(refusal.contains("error, warn, info"), "{bad}: {refusal}");
        }
    }

    #[test]
    fn noisy_libraries_are_quiet_unless_named() {
        let enabled = |text: &str, target: &str, level: &Level| -> bool {
            text.parse::<LogFilter>().expect(text).targets().would_enable(target, level)
        };
        assert!(enabled("debug", "auth::ops", &Level::DEBUG));
        assert!(!enabled("debug", "h2::proto", &Level::DEBUG));
        assert!(enabled("info,h2=trace", "h2::proto", &Level::TRACE));
        assert!(!enabled("off", "auth", &Level::ERROR));
        assert!(LogFilter::default().targets().would_enable("auth", &Level::INFO));
        assert!(!LogFilter::default().targets().would_enable("auth", &Level::DEBUG));
    }

    #[test]
    fn signal_has_own_or_common_endpoint() {
        let otlp = parse(&["--otlp-endpoint", "http://all:4317", "--otlp-logs-endpoint", "http://logs:4317"])
            .expect("two endpoints")
            .otlp;
        assert_eq!(otlp.traces(), Some("http://all:4317"));
        assert_eq!(otlp.metrics(), Some("http://all:4317"));
        assert_eq!(otlp.logs(), Some("http://logs:4317"));
    }

    #[test]
    fn export_is_off_without_endpoint_or_when_disabled() {
        let signals = |otlp: &Otlp| [otlp.traces(), otlp.metrics(), otlp.logs()].iter().flatten().count();
        assert_eq!(signals(&parse(&[]).expect("defaults").otlp), 0);
        assert_eq!(signals(&parse(&["--otlp-endpoint", ""]).expect("an empty variable is unset").otlp), 0);
        let disabled = parse(&["--otlp-endpoint", "http://all:4317", "--otel-sdk-disabled", "TRUE"]);
        assert_eq!(signals(&disabled.expect("disabled").otlp), 0);
    }

    #[test]
    fn unsupported_protocol_is_refused() {
        assert!(parse(&["--otlp-protocol", "grpc"]).is_ok());
        let refusal = parse(&["--otlp-protocol", "http/protobuf"]).expect_err("another protocol");
        assert!(refusal.contains("only grpc is spoken"), "{refusal}");
    }
}
