//! The embedded DynamoDB: dynoxide on a loopback port, on a thread of its own.
