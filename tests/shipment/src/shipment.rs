//! What is shipped: the image, compose and the manifests, held against the code.
#![cfg(test)]
