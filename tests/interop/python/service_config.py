"""Calls a server of its own by the timeouts and retries of a service config, which gRPC's client library takes.

service_config.py FILE: the config, `proto/service_config.json`.
"""

import json
import sys
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import grpc

# Timeout that replaces those of the config, so that the test needn't wait for them.
SHORT = "0.2s"


class Server(grpc.GenericRpcHandler):
    """Answers every method: the first calls with the codes that are prepared for it, later ones with success."""

    def __init__(self):
        self.codes, self.calls, self.hangs = defaultdict(list), defaultdict(int), set()

    def service(self, details):
        """Returns the handler of a method."""

        def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
            self.calls[details.method] += 1
            if details.method in self.hangs:
                gone = Event()
                if context.add_callback(gone.set):
                    gone.wait()
            if self.codes[details.method]:
                context.abort(self.codes[details.method].pop(), "not now")
            return request

        return grpc.unary_unary_rpc_method_handler(answer)


def outcome(channel: grpc.Channel, path: str) -> grpc.StatusCode:
    """Returns the code that a call ends with for its caller."""
    try:
        channel.unary_unary(path)(b"")
    except grpc.RpcError as error:
        return error.code()
    return grpc.StatusCode.OK


def main() -> None:
    """Calls a method of each entry whose server is unavailable at first, and, if it has a timeout, one that hangs."""
    with open(sys.argv[1]) as file:
        config = json.load(file)
    hurried = json.loads(json.dumps(config))
    for entry in hurried["methodConfig"]:
        if "timeout" in entry:
            entry["timeout"] = SHORT
    handler, server = Server(), grpc.server(ThreadPoolExecutor(8))
    server.add_generic_rpc_handlers([handler])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()

    def channel(config: dict) -> grpc.Channel:
        options = [("grpc.service_config", json.dumps(config))]
        return grpc.insecure_channel(f"127.0.0.1:{port}", options=options)

    patient, hasty = channel(config), channel(hurried)
    for entry in config["methodConfig"]:
        path = "/{service}/{method}".format(**entry["name"][0])
        policy = entry.get("retryPolicy", {})
        codes = policy.get("retryableStatusCodes", ["UNAVAILABLE"])
        retries = policy.get("maxAttempts", 1) - 1
        handler.codes[path] = [getattr(grpc.StatusCode, codes[at % len(codes)]) for at in range(max(retries, 1))]
        code = grpc.StatusCode.OK if retries else grpc.StatusCode.UNAVAILABLE
        assert (outcome(patient, path), handler.calls[path]) == (code, retries + 1), f"{path}: {handler.calls[path]}"
        if "timeout" in entry:
            handler.hangs.add(path)
            assert outcome(hasty, path) == grpc.StatusCode.DEADLINE_EXCEEDED, path
    server.stop(None)
    print("followed")


main()
