//! The DynamoDB table handle: conditions with outcomes, table definitions, page tokens, idempotency records.
