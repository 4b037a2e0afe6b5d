//! Registry of the services: their names, default ports and default addresses. Also the name of the front.

/// A service of the mesh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServiceEntry {
    /// Name of the crate, the binary, the container and the workload.
    pub name: &'static str,
    /// Default port.
    pub port: u16,
    /// Default address, on the loopback interface.
    pub address: &'static str,
}

/// Name of the front: its container and its workload, the only one that is no service.
pub const FRONT: &str = "gateway";

macro_rules! services {
    ($($constant:ident: $name:literal, $port:literal;)*) => {
        $(
            #[doc = concat!("The service `", $name, "`.")]
            pub const $constant: ServiceEntry =
                ServiceEntry { name: $name, port: $port, address: concat!("http://127.0.0.1:", $port) };
        )*

        /// Every service, in the order of their ports. auth comes first: the others ask it for keys.
        pub const SERVICES: [ServiceEntry; [$($port),*].len()] = [$($constant),*];

        /// Names of [`SERVICES`].
        pub const NAMES: [&str; SERVICES.len()] = [$($name),*];
    };
}

services! {
    AUTH: "auth", 50051;
    CLIENTS: "clients", 50052;
    THERAPISTS: "therapists", 50053;
    VAULT: "vault", 50054;
    MAPPING: "mapping", 50055;
    JOURNALS: "journals", 50056;
    AUDIT: "audit", 50057;
    SESSIONS: "sessions", 50058;
    APPOINTMENTS: "appointments", 50059;
    MESSAGES: "messages", 50060;
    SEARCH: "search", 50061;
}
