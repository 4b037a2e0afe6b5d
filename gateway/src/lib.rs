//! The embedded REST front: transcodes REST to gRPC by the descriptors.
