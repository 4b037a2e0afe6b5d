//! Tests of the API contract: protos, descriptors, access rules. This library is empty: the tests are in `tests`.
