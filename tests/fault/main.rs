//! The mesh while something fails: DynamoDB, a caller, the network, or everything at once by too much of it.

mod deadlines;
mod drain;
mod endings;
mod hang_up;
mod late_writes;
mod listener;
mod overload;
mod store_down;
mod world;
