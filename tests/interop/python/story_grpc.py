"""Plays the story over native gRPC with a client that has no protos: it learns every type by reflection.

story_grpc.py REFLECTION TARGET, each as host:port: the front with reflection, and the front under test.
"""

import datetime
import secrets
import sys

import grpc
from google.protobuf import json_format
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

PASSWORD = "seven quiet herons"
SECONDS = 20


class Front:
    """A front that is called by RPC names, with dicts as requests and messages as answers."""

    def __init__(self, reflection: str, target: str):
        self.known = ProtoReflectionDescriptorDatabase(grpc.insecure_channel(reflection))
        self.pool = DescriptorPool(self.known)
        self.channel = grpc.insecure_channel(target)

    def call(self, rpc: str, token: str | None = None, stream: bool = False, **fields):
        """Calls `domain.Service/Method`. Returns a message, or an iterator if `stream` is set."""
        domain, method = rpc.split(".")
        service, method = method.split("/")
        service = self.pool.FindServiceByName(f"therapy.{domain}.v1.{service}")
        method = service.FindMethodByName(method)
        request = json_format.ParseDict(fields, GetMessageClass(method.input_type)())
        kind = self.channel.unary_stream if stream else self.channel.unary_unary
        stub = kind(
            f"/{service.full_name}/{method.name}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=GetMessageClass(method.output_type).FromString,
        )
        metadata = [("authorization", f"Bearer {token}")] if token else []
        return stub(request, metadata=metadata, timeout=SECONDS)

    def refused(self, code: grpc.StatusCode, rpc: str, token: str | None = None, **fields) -> None:
        """Asserts that a call fails with this code and has the details of every error."""
        try:
            answer = self.call(rpc, token, **fields)
        except grpc.RpcError as error:
            assert error.code() == code, f"{rpc}: {error.code()} instead of {code}"
            details = dict(error.trailing_metadata()).get("grpc-status-details-bin", b"")
            assert b"google.rpc.ErrorInfo" in details, f"{rpc}: a refusal without details"
        else:
            raise AssertionError(f"{rpc} should be refused, not answer {answer}")


class Person:
    """A logged-in user."""

    def __init__(self, front: Front, role: str):
        self.email = f"{role.lower()}.{secrets.token_hex(6)}@example.org"
        account = front.call("auth.AuthService/Register", email=self.email, password=PASSWORD, role=role)
        pair = front.call("auth.AuthService/Login", email=self.email, password=PASSWORD)
        assert pair.token_type == "Bearer" and pair.user.user_id == account.user_id
        self.id, self.token, self.joined = account.user_id, pair.access_token, account.created_at.ToDatetime()


def name_of(message, field: str) -> str:
    """Returns the name of an enum field's value."""
    kind = message.DESCRIPTOR.fields_by_name[field].enum_type
    return kind.values_by_number[getattr(message, field)].name


def meet(front: Front) -> tuple[Person, Person]:
    """A client and a therapist create profiles, map each other, and the client grants journal access."""
    asha, noor = Person(front, "CLIENT"), Person(front, "THERAPIST")
    profile = {"name": "Asha Rao", "email": asha.email, "pincode": "110002"}
    made = front.call("clients.ClientService/CreateClient", asha.token, client=profile)
    assert made.client_id == asha.id
    profile = {"name": "Noor Haddad", "email": noor.email, "specialty": "Grief", "pincode": "110001"}
    front.call("therapists.TherapistService/CreateTherapist", noor.token, therapist=profile)
    found = front.call("therapists.TherapistService/ListTherapists", asha.token, specialty="grief")
    assert noor.id in [therapist.therapist_id for therapist in found.therapists]

    pair = {"client_id": asha.id, "therapist_id": noor.id}
    mapped = front.call("mapping.MappingService/CreateMapping", asha.token, **pair)
    assert name_of(mapped, "mapping_status") == "ACTIVE"
    front.refused(grpc.StatusCode.NOT_FOUND, "journals.JournalService/ListEntries", noor.token, client_id=asha.id)
    front.call("mapping.MappingService/RequestConsent", noor.token, request_type="JOURNAL_ACCESS", **pair)
    change = {"access": "ACCEPTED"}
    granted = front.call("mapping.MappingService/UpdateJournalAccess", asha.token, change=change, **pair)
    assert name_of(granted, "journal_access") == "ACCEPTED"
    return asha, noor


def write(front: Front, asha: Person, noor: Person) -> None:
    """The client writes entries, and the therapist reads them page by page."""
    journal = "journals.JournalService"
    for intensity, visibility in [(1, "SHARED"), (2, "PRIVATE"), (3, "SHARED")]:
        felt = asha.joined - datetime.timedelta(days=intensity)
        entry = {
            "emotion": "lonely",
            "intensity": intensity,
            "visibility": visibility,
            "timestamp": felt.isoformat() + "Z",
            "note": "The flat was so quiet.",
        }
        made = front.call(f"{journal}/CreateEntry", asha.token, client_id=asha.id, entry=entry)
        assert made.entry_id and made.intensity == intensity

    read, token = [], ""
    while True:
        page = front.call(f"{journal}/ListEntries", noor.token, client_id=asha.id, page_size=1, page_token=token)
        assert len(page.entries) <= 1
        read += [entry.intensity for entry in page.entries]
        token = page.next_page_token
        if not token:
            break
    assert read == [1, 3], f"what is shared, newest first: {read}"

    entry = {"emotion": "lonely", "intensity": 9, "timestamp": asha.joined.isoformat() + "Z"}
    front.refused(
        grpc.StatusCode.INVALID_ARGUMENT, f"{journal}/CreateEntry", asha.token, client_id=asha.id, entry=entry
    )
    front.refused(
        grpc.StatusCode.PERMISSION_DENIED, f"{journal}/CreateEntry", noor.token, client_id=asha.id, entry=entry
    )
    front.refused(grpc.StatusCode.UNAUTHENTICATED, f"{journal}/ListEntries", client_id=asha.id)
    front.refused(grpc.StatusCode.UNAUTHENTICATED, f"{journal}/ListEntries", "not.a.token", client_id=asha.id)


def talk(front: Front, asha: Person, noor: Person) -> None:
    """A watching client receives messages while they are sent."""
    messages = "messages.MessageService"
    sent = front.call(f"{messages}/SendMessage", asha.token, receiver_id=noor.id, message="Another day?")
    watched = front.call(
        f"{messages}/WatchConversation", asha.token, stream=True, peer_id=noor.id, after=sent.message_id
    )
    for text in ["Of course.", "The one at eleven is free."]:
        front.call(f"{messages}/SendMessage", noor.token, receiver_id=asha.id, message=text)
        heard = next(watched)
        assert (heard.message, heard.sender_id) == (text, noor.id)
    watched.cancel()


def main() -> None:
    """Plays the whole story."""
    front = Front(*sys.argv[1:])
    services = set(front.known.get_services())
    assert {f"therapy.{name}" for name in ["auth.v1.AuthService", "journals.v1.JournalService"]} <= services, services
    asha, noor = meet(front)
    write(front, asha, noor)
    talk(front, asha, noor)
    front.call("clients.ClientService/DeleteClient", asha.token, client_id=asha.id)
    front.refused(grpc.StatusCode.UNAUTHENTICATED, "auth.AuthService/GetMe", asha.token)
    print("played")


main()
