//! The data keys of people, as services hold them: fetched from vault, kept briefly, wiped.
