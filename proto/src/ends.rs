//! Decides whether a call ends something: by its RPC, or by what its request asks for.

use prost::Message as _;

use crate::appointments::v1::{UpdateAppointmentStatusRequest, appointment};
use crate::mapping::v1::{AnswerMappingRequestRequest, UpdateJournalAccessRequest, journal_access, mapping_answer};
use crate::sessions::v1::{SessionStatus, UpdateSessionRequest};
use crate::{Ends, Rpc};

impl Rpc {
    /// Returns whether a call with this request, an encoded message, ends something.
    #[must_use]
    pub fn ends_something(&self, request: &[u8]) -> bool {
        match self.ends {
            Ends::Never => false,
            Ends::Always => true,
            Ends::ByRequest => by_request(self.path, request).unwrap_or(false),
        }
    }
}

/// Returns whether a request ends something. None for a path without a row, and for a request that is no message of it.
fn by_request(path: &str, request: &[u8]) -> Option<bool> {
    match path {
        "/therapy.mapping.v1.MappingService/AnswerMappingRequest" => {
            let request = AnswerMappingRequestRequest::decode(request).ok()?;
            let status = request.answer.unwrap_or_default().status();
            Some(status == mapping_answer::Status::Rejected)
        }
        "/therapy.mapping.v1.MappingService/UpdateJournalAccess" => {
            use journal_access::Status::{Rejected, Revoked};
            let request = UpdateJournalAccessRequest::decode(request).ok()?;
            Some(matches!(request.change.unwrap_or_default().access(), Rejected | Revoked))
        }
        "/therapy.appointments.v1.AppointmentService/UpdateAppointmentStatus" => {
            use appointment::Status::{Rejected, Revoked};
            let request = UpdateAppointmentStatusRequest::decode(request).ok()?;
            Some(matches!(request.status.unwrap_or_default().status(), Rejected | Revoked))
        }
        "/therapy.sessions.v1.SessionService/UpdateSession" => {
            let request = UpdateSessionRequest::decode(request).ok()?;
            Some(request.session.unwrap_or_default().status() == SessionStatus::Cancelled)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RPCS;
    use crate::mapping::v1::{JournalAccessChange, MappingAnswer};

    #[test]
    fn rpc_that_ends_by_request_has_row() {
        let mut rpcs = RPCS.iter().filter(|rpc| rpc.ends == Ends::ByRequest);
        assert!(rpcs.clone().count() > 0);
        assert!(rpcs.all(|rpc| by_request(rpc.path, b"") == Some(false)));
    }

    #[test]
    fn request_decides_if_rpc_grants_too() {
        let rpc = Rpc::find("/therapy.mapping.v1.MappingService/UpdateJournalAccess").unwrap();
        let ends = |access: journal_access::Status| {
            let change = Some(JournalAccessChange { access: access.into(), ..Default::default() });
            let request = UpdateJournalAccessRequest { change, ..Default::default() };
            rpc.ends_something(&request.encode_to_vec())
        };
        assert!(ends(journal_access::Status::Revoked) && ends(journal_access::Status::Rejected));
        assert!(!ends(journal_access::Status::Accepted));

        let rpc = Rpc::find("/therapy.mapping.v1.MappingService/AnswerMappingRequest").unwrap();
        let ends = |status: mapping_answer::Status| {
            let answer = Some(MappingAnswer { status: status.into() });
            rpc.ends_something(&AnswerMappingRequestRequest { answer, ..Default::default() }.encode_to_vec())
        };
        assert!(ends(mapping_answer::Status::Rejected));
        assert!(!ends(mapping_answer::Status::Accepted));
        assert!(!rpc.ends_something(b"no message"));
    }

    #[test]
    fn logout_and_deletion_always_end_something() {
        for path in [
            "/therapy.auth.v1.AuthService/Logout",
            "/therapy.mapping.v1.MappingService/EndMapping",
            "/therapy.mapping.v1.MappingService/EndJournalAccess",
            "/therapy.clients.v1.ClientService/DeleteClient",
            "/therapy.therapists.v1.TherapistService/DeleteTherapist",
        ] {
            assert!(Rpc::find(path).unwrap().ends_something(b""), "{path}");
        }
    }
}
