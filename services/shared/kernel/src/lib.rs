//! Shared types of the services: ids, callers, the clock, validated text and settings, pages and errors.
//!
//! No transport, no store, no I/O: what is here can be used and tested anywhere.

mod clock;
mod date_time;
mod email;
mod entity_tag;
mod entropy;
mod error;
mod expected;
mod field;
mod free_text;
#[cfg(test)]
mod fuzz;
mod id;
mod page;
mod principal;
mod request_id;
mod rfc3339;
pub mod setting;
mod text;
mod time_of_day;
mod utc_date_time;
mod version;
mod visible;

pub use clock::{Clock, ManualClock, SystemClock};
pub use date_time::OffsetDateTime;
pub use email::Email;
pub use entity_tag::{EntityTag, EntityTags, MalformedEntityTags};
pub use entropy::Entropy;
pub use error::{BoxError, Error, Kind, Result, STORAGE_FULL, Violation, Violations, zip_violations};
pub use expected::Expected;
pub use field::{FieldError, FieldReason};
pub use free_text::FreeText;
pub use id::{AppointmentId, ClientId, EventId, LoginId, ParseIdError, SessionId, TherapistId, UserId, uuid_v7};
pub use jiff::Timestamp;
pub use page::{Page, PageSize};
pub use principal::{Party, Person, Role};
pub use request_id::RequestId;
pub use text::{PersonName, Pincode, clean_line, clean_text, fold_visible};
pub use time_of_day::parse_time_of_day;
pub use utc_date_time::UtcDateTime;
pub use version::Version;
pub use visible::is_blank;
