//! What every service stands on: listener, ordered layers, identity, errors, health, telemetry, configuration, clients.
