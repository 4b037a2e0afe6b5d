"""Hooks of schemathesis: requests about people and things that exist, and what of proto3's JSON is no failure.

The environment variable PRACTICE has as JSON, by the names of fields and parameters, lists of ids that exist; under
`doomed` the same of what may be removed; and under `leavers` people who may end their accounts, each {id, token}.
"""

import json
import os
import re
import unicodedata

import schemathesis

PRACTICE = json.loads(os.environ["PRACTICE"])
UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
# The ids of the document's examples.
EXAMPLE = "0199c2"
ENUMS = ("access", "bucket", "requestType", "role", "status", "visibility")
# The services' clock stands in the year 2100.
DATES = ("sessionDate", "appointmentDate")


def known(name: str, value: str) -> str:
    """An id that exists, in place of most that are well formed: the rest shows what is answered to unknown ones."""
    ids = PRACTICE.get(name)
    if not ids or (not value.startswith(EXAMPLE) and value[-1:] in tuple("0123")):
        return value
    return ids[sum(value.encode()) % len(ids)]


def settle(values) -> None:
    """Puts what exists into parameters or a body."""
    if not isinstance(values, dict):
        return
    for name, value in values.items():
        if not isinstance(value, str):
            continue
        is_ulid = name in ("entryId", "messageId", "after") and len(value) > 1
        if is_ulid or UUID.fullmatch(value):
            values[name] = known(name, value)
        elif name in DATES and re.match(r"20\d\d-", value):
            values[name] = f"2100{value[4:]}"


@schemathesis.hook
def before_call(context, case, kwargs) -> None:
    """Before every request of every phase."""
    for values in (case.path_parameters, case.query, case.body):
        settle(values)
    if case.method.upper() != "DELETE":
        return
    if case.operation.path in ("/clients/{clientId}", "/therapists/{therapistId}"):
        name = case.operation.path.split("{")[1].rstrip("}")
        if case.path_parameters.get(name) not in PRACTICE[name]:
            return
        # Who is needed for the rest of the run does not go.
        case.path_parameters[name] = PRACTICE["strangers"][0]
        if PRACTICE["leavers"]:
            leaver = PRACTICE["leavers"].pop()
            case.path_parameters[name] = leaver["id"]
            case.headers = {**(case.headers or {}), "Authorization": f"Bearer {leaver['token']}"}
        return
    for values in (case.path_parameters, case.query):
        for name in values or {}:
            if values[name] in PRACTICE.get(name, []) and name in PRACTICE["doomed"]:
                doomed = PRACTICE["doomed"][name]
                values[name] = doomed.pop() if len(doomed) > 1 else doomed[0]


@schemathesis.hook
def filter_failure(context, failure, case, response) -> bool:
    """Which failures count."""
    if type(failure).__name__ == "UnsupportedMethodResponse":
        # Both fronts answer what they have no route for, path or method, with 404. Envoy doesn't know the method QUERY.
        return response.status_code != 404 and (case.method, response.status_code) != ("QUERY", 400)
    if type(failure).__name__ == "AcceptedNegativeData":
        return not is_sayable(case, failure.message)
    return True


def is_sayable(case, message: str) -> bool:
    """Whether what the schema refuses of a request may be said all the same, mostly for the sake of proto3's JSON."""
    if case.body is None or ("Length`" in message and is_unsettled(case.body)):
        return True
    place = re.search(r"Invalid component: (?:parameter `(\w+)` in query|in body) - (\w+): ", message)
    if not place:
        return False
    name, is_query = place[2], place[1] is not None
    values = case.query if is_query else case.body
    value = values.get(name) if isinstance(values, dict) else None
    if value in ((None, "") if is_query else (None,)):
        # As if it were not there.
        return True
    # Enums have numbers too.
    return name in ENUMS and str(value).isdigit()


def is_unsettled(body) -> bool:
    """Whether a text of a body may have another length when it is counted: texts are trimmed and brought to one form."""
    texts = [value for value in body.values() if isinstance(value, str)] if isinstance(body, dict) else []
    return any(unicodedata.normalize("NFKC", text).strip() != text for text in texts)
