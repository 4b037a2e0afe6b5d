//! The OpenAPI document of the REST surface, made from the descriptors.
