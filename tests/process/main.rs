//! The binary `mesh` as an operator meets it: its settings, its start, its end, and what it keeps.

mod life;
mod process;
mod readme;
mod settings;
