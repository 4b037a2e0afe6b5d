//! JSON text (RFC 8259), read and written token by token.

#[cfg(test)]
mod fuzz;
mod reader;
mod write;

pub(crate) use reader::{Malformed, Reader, Token, is_number};
pub(crate) use write::{put_base64, put_float, put_integer, put_string};
