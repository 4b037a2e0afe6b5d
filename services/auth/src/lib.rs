//! Accounts, passwords, access and refresh tokens, signing keys.
