"""Plays the story of a client and a therapist with the client that openapi-python-client generates.

story_openapi.py PACKAGES URL: the directory of the generated package, and the front under test.
"""

import datetime
import secrets
import sys
import uuid
from typing import Any, TypeVar

PACKAGES, URL = sys.argv[1:]
sys.path.insert(0, PACKAGES)


import therapy_journaling_client as generated
from therapy_journaling_client import models
from therapy_journaling_client.api.access_log import list_accesses
from therapy_journaling_client.api.accounts import get_me, login, logout, refresh, register
from therapy_journaling_client.api.appointments import (
    create_appointment,
    get_appointment_status,
    list_appointments,
    update_appointment_status,
)
from therapy_journaling_client.api.clients import create_client, delete_client, list_clients
from therapy_journaling_client.api.invitations import create_invitation
from therapy_journaling_client.api.journal import (
    create_entry,
    delete_entry,
    get_entry,
    get_insights,
    list_entries,
    update_entry,
)
from therapy_journaling_client.api.messages import list_conversations, list_messages, mark_read, send_message
from therapy_journaling_client.api.relations_and_consent import (
    answer_mapping_request,
    end_mapping,
    list_consent_requests,
    list_related_clients,
    request_consent,
    update_journal_access,
)
from therapy_journaling_client.api.sessions import create_session, get_session, list_sessions, update_notes
from therapy_journaling_client.api.therapists import create_therapist, list_therapists
from therapy_journaling_client.types import Response

from pages import pages

Body = TypeVar("Body")

PASSWORD = "seven quiet herons"
NOBODY = generated.Client(base_url=URL, raise_on_unexpected_status=True)


def ok(answer: Response[models.ApiError | Body], code: int = 200) -> Body:
    """Asserts the status of an answer and returns the parsed body."""
    assert answer.status_code == code, f"{answer.status_code} {answer.content!r}"
    assert answer.parsed is not None and not isinstance(answer.parsed, models.ApiError)
    return answer.parsed


def done(answer: Response[Any]) -> None:
    """Asserts that an answer is successful and has no body."""
    assert (answer.status_code, answer.content) == (204, b""), f"{answer.status_code} {answer.content!r}"


def refused(reason: str, code: int, answer: Response[Any]) -> None:
    """Asserts that an operation failed with this status and reason."""
    assert answer.status_code == code, f"{answer.status_code} {answer.content!r}"
    assert isinstance(answer.parsed, models.ApiError), answer.content
    reasons = [detail.reason for detail in answer.parsed.details if isinstance(detail, models.ErrorInfo)]
    assert reasons == [reason], answer.parsed


class Person:
    """A logged-in user."""

    def __init__(self, role: models.UserRole):
        self.email = f"{role.value.lower()}.{secrets.token_hex(6)}@example.org"
        body = models.RegisterRequest(email=self.email, password=PASSWORD, role=role)
        user = ok(register.sync_detailed(client=NOBODY, body=body), 201)
        pair = ok(login.sync_detailed(client=NOBODY, body=models.LoginRequest(email=self.email, password=PASSWORD)))
        assert pair.user == user and pair.token_type == "Bearer"
        self.id, self.joined = user.user_id, user.created_at
        self.take(pair)
        assert ok(get_me.sync_detailed(client=self.client)) == user

    def take(self, pair: models.TokenPair) -> None:
        """Uses these tokens from now on."""
        self.refresh_token = pair.refresh_token
        self.client = generated.AuthenticatedClient(
            base_url=URL, token=pair.access_token, raise_on_unexpected_status=True
        )


def meet() -> tuple[Person, Person]:
    """Both register and create profiles; each finds the other."""
    asha, noor = Person(models.UserRole.CLIENT), Person(models.UserRole.THERAPIST)
    profile = models.ClientProfileInput(name="Asha Rao", email=asha.email, pincode="110002")
    made = ok(create_client.sync_detailed(client=asha.client, body=profile), 201)
    assert made.client_id == asha.id
    name = f"Noor Haddad {secrets.token_hex(4)}"
    practice = models.TherapistProfileInput(name=name, email=noor.email, specialty="Grief", pincode="110001")
    ok(create_therapist.sync_detailed(client=noor.client, body=practice), 201)
    refused("PROFILE_EXISTS", 409, create_therapist.sync_detailed(client=noor.client, body=practice))

    found = ok(list_therapists.sync_detailed(client=asha.client, specialty="grief", name=name.lower()))
    assert [therapist.therapist_id for therapist in found] == [noor.id]
    invitation = models.CreateInvitationRequest(email=asha.email, request_type=models.RequestType.MAPPING)
    ok(create_invitation.sync_detailed(client=noor.client, body=invitation), 202)
    assert ok(list_clients.sync_detailed(client=noor.client, email=asha.email)) == []
    assert ok(list_clients.sync_detailed(client=noor.client)) == []
    pair = ok(refresh.sync_detailed(client=NOBODY, body=models.RefreshRequest(refresh_token=noor.refresh_token)))
    noor.take(pair)
    return asha, noor


def agree(asha: Person, noor: Person) -> None:
    """The client accepts the invitation; the therapist asks for the journal, and the client accepts."""
    waiting = ok(list_consent_requests.sync_detailed(asha.id, client=asha.client))
    assert [(request.therapist_id, request.request_type) for request in waiting] == [(noor.id, "MAPPING")]
    answer = models.MappingAnswer(status=models.MappingAnswerStatus.ACCEPTED)
    mapped = ok(answer_mapping_request.sync_detailed(asha.id, client=asha.client, therapist_id=noor.id, body=answer))
    assert mapped.mapping_status == models.MappingStatus.ACTIVE

    refused("NOT_FOUND", 404, list_entries.sync_detailed(asha.id, client=noor.client))
    ask = models.RequestConsentRequest(request_type=models.RequestType.JOURNAL_ACCESS)
    ok(request_consent.sync_detailed(asha.id, client=noor.client, body=ask), 201)
    change = models.JournalAccessChange(access=models.JournalAccessChangeAccess.ACCEPTED)
    granted = ok(update_journal_access.sync_detailed(asha.id, client=asha.client, therapist_id=noor.id, body=change))
    assert granted.journal_access == models.JournalAccessStatus.ACCEPTED
    related = ok(list_related_clients.sync_detailed(noor.id, client=noor.client))
    assert [(relation.client_id, relation.client_name) for relation in related] == [(asha.id, "Asha Rao")]


def write(asha: Person, noor: Person) -> None:
    """Entries are written, corrected, removed, and read page by page."""
    written = []
    for intensity in (1, 2, 3, 4):
        felt = asha.joined - datetime.timedelta(days=intensity)
        visibility = models.Visibility.PRIVATE if intensity == 2 else models.Visibility.SHARED
        entry = models.NewJournalEntry(
            emotion="lonely", intensity=intensity, timestamp=felt, note="The flat was so quiet.", visibility=visibility
        )
        key = str(uuid.uuid4())
        once = ok(create_entry.sync_detailed(asha.id, client=asha.client, body=entry, idempotency_key=key), 201)
        again = ok(create_entry.sync_detailed(asha.id, client=asha.client, body=entry, idempotency_key=key), 201)
        assert once == again, "a repeated POST makes nothing twice"
        written.append(once)

    shared = pages(lambda token: list_entries.sync_detailed(asha.id, client=noor.client, page_size=1, page_token=token))
    read = [entry.intensity for entry in shared]
    assert read == [1, 3, 4], f"what is shared, newest first: {read}"

    first = written[0]
    change = models.JournalEntryChange(note="The flat was quiet.", etag=first.etag)
    corrected = ok(update_entry.sync_detailed(asha.id, first.entry_id, client=asha.client, body=change))
    assert (corrected.note, corrected.intensity) == ("The flat was quiet.", 1)
    refused("STALE_ETAG", 409, update_entry.sync_detailed(asha.id, first.entry_id, client=asha.client, body=change))
    seen = ok(get_entry.sync_detailed(asha.id, first.entry_id, client=noor.client))
    assert seen.etag == "", "a therapist is not told how often an entry was corrected"
    assert {**seen.to_dict(), "etag": corrected.etag} == corrected.to_dict()
    ok(delete_entry.sync_detailed(asha.id, client=asha.client, entry_id=written[3].entry_id))
    insights = ok(
        get_insights.sync_detailed(
            asha.id,
            client=noor.client,
            bucket=models.Bucket.WEEK,
            time_zone="Asia/Kolkata",
            from_=asha.joined - datetime.timedelta(days=10),
            to=asha.joined,
        )
    )
    assert sum(family.count for bucket in insights.buckets for family in bucket.families) == 2
    accesses = ok(list_accesses.sync_detailed(asha.id, client=asha.client))
    assert {access.therapist_id for access in accesses} == {noor.id}

    entry = models.NewJournalEntry(emotion="lonely", intensity=9, timestamp=asha.joined)
    refused("INVALID_FIELDS", 400, create_entry.sync_detailed(asha.id, client=asha.client, body=entry))
    refused("ROLE_NOT_ALLOWED", 403, create_entry.sync_detailed(asha.id, client=noor.client, body=entry))


def book(asha: Person, noor: Person) -> None:
    """The client asks for a session, and the therapist accepts."""
    day = (asha.joined + datetime.timedelta(days=7)).replace(
        hour=0, minute=0, second=0, microsecond=0, tzinfo=datetime.timezone(datetime.timedelta(hours=5, minutes=30))
    )
    slot = models.NewSession(session_date=day, start_time="10:00", end_time="10:50", private_notes="The flat.")
    session = ok(create_session.sync_detailed(client=noor.client, body=slot), 201)
    assert session.session_date == day and session.session_date.utcoffset() == day.utcoffset()
    refused("SESSION_OVERLAPS", 409, create_session.sync_detailed(client=noor.client, body=slot))
    available = ok(
        list_sessions.sync_detailed(
            client=asha.client,
            therapist_id=noor.id,
            status=models.SessionStatus.AVAILABLE,
            after_date=day,
            before_date=day + datetime.timedelta(days=1),
        )
    )
    assert [(found.session_id, found.private_notes) for found in available] == [(session.session_id, "")]
    wish = models.CreateAppointmentRequest(
        therapist_id=noor.id, appointment_date=day.replace(hour=10), session_id=session.session_id
    )
    asked = ok(create_appointment.sync_detailed(client=asha.client, body=wish), 201)
    waiting = ok(list_appointments.sync_detailed(client=noor.client, status=models.AppointmentStatus.PENDING))
    assert [appointment.client_id for appointment in waiting] == [asha.id]
    accept = models.StatusChange(status=models.StatusChangeStatus.ACCEPTED, etag=asked.etag)
    ok(update_appointment_status.sync_detailed(asked.appointment_id, client=noor.client, body=accept))
    seen = ok(get_appointment_status.sync_detailed(asked.appointment_id, client=asha.client))
    assert seen.status == models.AppointmentStatus.ACCEPTED
    notes = models.Notes(shared_notes="Bring three things that helped.")
    ok(update_notes.sync_detailed(session.session_id, client=noor.client, body=notes))
    booked = ok(get_session.sync_detailed(session.session_id, client=asha.client))
    assert (booked.status, booked.client_id, booked.private_notes) == ("BOOKED", str(asha.id), "")
    assert booked.shared_notes == "Bring three things that helped."


def talk(asha: Person, noor: Person) -> None:
    """They exchange messages; both see the same conversation."""
    body = models.SendMessageRequest(receiver_id=noor.id, message="Could we find another day?")
    sent = ok(send_message.sync_detailed(client=asha.client, body=body), 201)
    body = models.SendMessageRequest(receiver_id=asha.id, message="Of course.")
    ok(send_message.sync_detailed(client=noor.client, body=body), 201)
    conversations = ok(list_conversations.sync_detailed(client=noor.client))
    assert [(found.peer_id, found.peer_name, found.unread_count) for found in conversations] == [
        (asha.id, "Asha Rao", 1)
    ]
    read = models.MarkReadRequest(peer_id=asha.id, message_id=sent.message_id)
    assert ok(mark_read.sync_detailed(client=noor.client, body=read)).unread_count == 0
    of_both = [
        ok(list_messages.sync_detailed(client=person.client, sender_id=asha.id, receiver_id=noor.id))
        for person in (asha, noor)
    ]
    assert of_both[0] == of_both[1]
    assert [message.message for message in of_both[0]] == ["Of course.", "Could we find another day?"]


def part(asha: Person, noor: Person) -> None:
    """The mapping ends, and then the client's account is deleted with its data."""
    ended = ok(end_mapping.sync_detailed(asha.id, client=noor.client, therapist_id=noor.id))
    assert ended.journal_access == models.JournalAccessStatus.REVOKED
    refused("NOT_FOUND", 404, list_entries.sync_detailed(asha.id, client=noor.client))
    done(delete_client.sync_detailed(asha.id, client=asha.client))
    refused("ACCOUNT_ENDED", 401, get_me.sync_detailed(client=asha.client))
    ok(logout.sync_detailed(client=noor.client, body=models.LogoutRequest()))
    body = models.RefreshRequest(refresh_token=noor.refresh_token)
    refused("REFRESH_TOKEN_INVALID", 401, refresh.sync_detailed(client=NOBODY, body=body))


def read_unknown_reason() -> None:
    """A reason of a later version is read as text."""
    detail = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "domain": "therapy", "metadata": {}}
    assert models.ErrorInfo.from_dict({**detail, "reason": "NOT_FOUND"}).reason is models.ErrorReason.NOT_FOUND
    assert models.ErrorInfo.from_dict({**detail, "reason": "OF_A_LATER_VERSION"}).reason == "OF_A_LATER_VERSION"


def main() -> None:
    """Plays the whole story."""
    asha, noor = meet()
    agree(asha, noor)
    write(asha, noor)
    book(asha, noor)
    talk(asha, noor)
    part(asha, noor)
    read_unknown_reason()
    print("played")


main()
