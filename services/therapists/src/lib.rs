//! Profiles of therapists and the directory.
