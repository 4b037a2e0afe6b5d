//! Implements the RPC by which therapists invite clients.

use chassis::{Context, to_status};
use kernel::{Email, Error, FieldError, Violations, zip_violations};
use prost::Message as _;
use proto::mapping::v1 as pb;
use proto::mapping::v1::invitation_service_server::InvitationService;
use tonic::{Request, Response, Status};

use crate::error;
use crate::model::InvitedTo;
use crate::policy::{self, Side};
use crate::service::Services;
use crate::wire;

/// Path of this RPC, which separates its idempotency keys from those of others.
const CREATE: &str = "/therapy.mapping.v1.InvitationService/CreateInvitation";

impl Services {
    async fn invite(&self, context: Context, request: pb::CreateInvitationRequest) -> Result<(), Error> {
        let person = context.person()?;
        let Side::Therapist(own) = policy::side(person) else {
            return Err(error::only_therapists());
        };
        let claim = self.claim(&context, CREATE, &request.encode_to_vec());
        let ((address, asked), claim) = zip_violations(from_proto(&request), claim)?;
        self.0.logins.must_be_open(&context).await?;
        self.0.invitations.invite(own, (&address, asked), self.0.now(), claim.as_ref()).await
    }
}

#[tonic::async_trait]
impl InvitationService for Services {
    async fn create_invitation(
        &self,
        request: Request<pb::CreateInvitationRequest>,
    ) -> Result<Response<pb::CreateInvitationResponse>, Status> {
        let context = Context::of(&request);
        self.invite(context, request.into_inner()).await.map_err(to_status)?;
        Ok(Response::new(pb::CreateInvitationResponse {}))
    }
}

fn from_proto(request: &pb::CreateInvitationRequest) -> Result<(Email, InvitedTo), Error> {
    let pb::CreateInvitationRequest { email, request_type } = request;
    let mut bad = Violations::default();
    let email = bad.check("email", email.parse::<Email>());
    let asked = match pb::RequestType::try_from(*request_type) {
        Ok(pb::RequestType::Mapping) => Some(InvitedTo::Mapping),
        Ok(pb::RequestType::JournalAccess) => Some(InvitedTo::JournalAccess),
        Ok(pb::RequestType::Unspecified) => {
            bad.check("requestType", Err(FieldError::missing_one_of(&wire::REQUEST_TYPES)))
        }
        Err(_) => bad.check("requestType", Err(FieldError::not_one_of(&wire::REQUEST_TYPES))),
    };
    email.zip(asked).ok_or_else(|| bad.into_error())
}
