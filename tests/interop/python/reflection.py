"""Prints the services that reflection lists at each address, in both of its versions, as JSON.

reflection.py ADDRESS…, each as host:port.
"""

import json
import sys

import grpc
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest, ServerReflectionResponse


def listed(address: str, version: str) -> list[str]:
    """Returns the names of services but reflection. The messages of the versions are the same on the wire."""
    call = grpc.insecure_channel(address).stream_stream(
        f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
        request_serializer=ServerReflectionRequest.SerializeToString,
        response_deserializer=ServerReflectionResponse.FromString,
    )
    answers = call(iter([ServerReflectionRequest(list_services="")]), timeout=20)
    names = [service.name for service in next(answers).list_services_response.service]
    return sorted(name for name in names if not name.startswith("grpc.reflection."))


print(json.dumps([{version: listed(address, version) for version in ("v1", "v1alpha")} for address in sys.argv[1:]]))
