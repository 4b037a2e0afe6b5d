//! Texts in many languages, and the queries by which people would look for them.

mod fixtures;
mod queries;
mod snippets;
mod spellings;
mod stored_terms;
