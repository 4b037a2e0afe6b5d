//! The contract, held against whole meshes on each engine, from outside: over REST and over gRPC.

mod accounts;
mod endings;
mod hostile;
mod internal;
mod profiles;
mod directory;
mod tokens;
