"""Reads lists page by page with the client that openapi-python-client generates."""

from collections.abc import Callable, Iterator
from typing import TypeVar

from therapy_journaling_client.models import ApiError
from therapy_journaling_client.types import UNSET, Response, Unset

Item = TypeVar("Item")


def pages(ask: Callable[[str | Unset], Response[ApiError | list[Item]]]) -> Iterator[Item]:
    """Yields the items of all pages. `ask` requests the page of a token; the first page has none."""
    token: str | Unset = UNSET
    while True:
        page = ask(token)
        if not isinstance(page.parsed, list):
            raise RuntimeError(page.parsed)
        yield from page.parsed
        if "x-next-page-token" not in page.headers:
            return
        token = page.headers["x-next-page-token"]
