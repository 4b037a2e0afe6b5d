//! Tests of the contract itself: protos, descriptors, access table.
