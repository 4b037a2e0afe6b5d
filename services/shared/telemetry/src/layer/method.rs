//! The methods that have a name of their own in telemetry.

use crate::semconv::OTHER;

/// Health and reflection, which orchestrators and tools call: measured like any other, logged only for debugging.
const INFRASTRUCTURE: [&str; 5] = [
    "/grpc.health.v1.Health/Check",
    "/grpc.health.v1.Health/Watch",
    "/grpc.health.v1.Health/List",
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];

/// A method as telemetry names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Method {
    /// `package.Service/Method`, or `_OTHER`.
    pub(super) name: &'static str,
    /// Set if its calls are worth a line in the log.
    pub(super) logged: bool,
}

impl Method {
    /// Returns the method of a path; all unknown paths are one method, so that callers can't add series.
    pub(super) fn of(path: &str) -> Self {
        if let Some(rpc) = proto::Rpc::find(path) {
            return Self { name: trimmed(rpc.path), logged: true };
        }
        match INFRASTRUCTURE.iter().find(|known| **known == path) {
            Some(known) => Self { name: trimmed(known), logged: false },
            None => Self { name: OTHER, logged: true },
        }
    }

    /// The name of a span, which for an unknown method is that of the system.
    pub(super) fn span_name(self) -> &'static str {
        if self.name == OTHER { "grpc" } else { self.name }
    }
}

fn trimmed(path: &'static str) -> &'static str {
    path.strip_prefix('/').unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_paths_are_one_method() {
        assert_eq!(Method::of("/grpc.health.v1.Health/Check").name, "grpc.health.v1.Health/Check");
        for rpc in proto::RPCS {
            assert_eq!(Method::of(rpc.path).name, &rpc.path[1..]);
        }
        for path in ["/", "", "/a.B/C", "/grpc.health.v1.Health/check", "/grpc.health.v1.Health/Check/"] {
            assert_eq!(Method::of(path).name, OTHER, "{path}");
        }
    }
}
