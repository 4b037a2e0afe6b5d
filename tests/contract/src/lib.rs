//! Tests of the contract itself: protos, descriptors, rules.
