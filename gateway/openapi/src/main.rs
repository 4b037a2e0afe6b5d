//! Writes the OpenAPI document: `cargo run -p openapi > gateway/openapi/swagger.yaml`.

use std::error::Error;
use std::io::Write as _;

fn main() -> Result<(), Box<dyn Error>> {
    std::io::stdout().write_all(openapi::document()?.as_bytes())?;
    Ok(())
}
