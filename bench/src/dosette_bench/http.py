"""One kept connection, as a phone or a script holds it: asks, reads the answer whole, and says what was wrong with it."""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

from dosette_bench.loop import Failed
from dosette_bench.stack import Stack

TIMEOUT_S = 30
LINE_END = 2


@dataclass(frozen=True)
class Answer:
    """`bytes` counts the status line, the headers and the body as they came, compressed or not."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    bytes: int

    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    """Not to be shared between threads."""

    def __init__(self, stack: Stack) -> None:
        parts = urlsplit(stack.url)
        kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        self._connection = kind(parts.hostname or "127.0.0.1", parts.port, timeout=TIMEOUT_S)
        self._base = parts.path.rstrip("/")
        self._headers = {"Authorization": f"Bearer {stack.token}"}

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        expect: int = 200,
    ) -> Answer:
        """Raises Failed when the answer is none, or another status than expected."""
        told = {**self._headers, **(headers or {})}
        if body is not None:
            told["Content-Type"] = "application/json"
        try:
            self._connection.request(method, self._base + path, body, told)
            response = self._connection.getresponse()
            received = response.read()
        except (OSError, HTTPException) as error:
            self._connection.close()
            raise Failed(type(error).__name__) from error
        if response.status != expect:
            raise Failed(f"status {response.status}")
        lines = [
            f"HTTP/1.1 {response.status} {response.reason}",
            *(f"{name}: {value}" for name, value in response.getheaders()),
        ]
        size = sum(len(line) + LINE_END for line in lines) + LINE_END + len(received)
        return Answer(response.status, dict(response.getheaders()), received, size)

    def close(self) -> None:
        self._connection.close()


def new_key() -> dict[str, str]:
    """The header that makes an action happen once."""
    return {"Idempotency-Key": str(uuid.uuid4())}
