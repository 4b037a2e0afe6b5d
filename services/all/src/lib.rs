//! The whole mesh in one process: wiring only.
