"""One user, one connection, one request after the other: a closed loop, which shows the time of an unloaded server."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

from dosette_bench.server import Server

LOAD_MODEL = {"model": "closed", "users": 1, "think_time_s": 0}
WARM_UP = 5


@dataclass
class Measured:
    """The times of one operation, and the tries that failed with why: an error is no fast success."""

    operation: str
    times_ms: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


class ClosedLoop:
    """Asks a server over one kept connection."""

    def __init__(self, server: Server) -> None:
        parts = urlsplit(server.url)
        self._connection = HTTPConnection(parts.hostname or "127.0.0.1", parts.port or 80, timeout=10)
        self._headers = {"Authorization": f"Bearer {server.token}"}

    def measure(self, tries: int) -> list[Measured]:
        """Each read `tries` times, interleaved, after a warm-up that does not count."""
        try:
            return self._measured(self._paths(), tries)
        finally:
            self._connection.close()

    def _measured(self, paths: Mapping[str, str], tries: int) -> list[Measured]:
        for _ in range(WARM_UP):
            for path in paths.values():
                self._try(path)
        results = {operation: Measured(operation) for operation in paths}
        for _ in range(tries):
            for operation, path in paths.items():
                self._add(results[operation], path)
        return list(results.values())

    def _paths(self) -> dict[str, str]:
        _, body = self._try("/api/v1/medicines")
        items = json.loads(body).get("items", []) if body.startswith(b"{") else []
        by_id = {"get_medicine": f"/api/v1/medicines/{items[0]['id']}"} if items else {}
        return {
            "list_medicines": "/api/v1/medicines",
            **by_id,
            "list_pending": "/api/v1/medicines/pending",
            "list_low_stock": "/api/v1/medicines/low-stock",
            "list_history": "/api/v1/history",
        }

    def _add(self, measured: Measured, path: str) -> None:
        try:
            measured.times_ms.append(self._timed(path))
        except ConnectionError as error:
            measured.errors.append(str(error))

    def _timed(self, path: str) -> float:
        """Milliseconds. Raises ConnectionError when the answer is not 200."""
        began = time.perf_counter()
        status, _ = self._try(path)
        taken_ms = (time.perf_counter() - began) * 1000
        if status != 200:
            raise ConnectionError(f"status {status}")
        return taken_ms

    def _try(self, path: str) -> tuple[int, bytes]:
        try:
            self._connection.request("GET", path, headers=self._headers)
            answer = self._connection.getresponse()
            return answer.status, answer.read()
        except (OSError, HTTPException) as error:
            self._connection.close()
            raise ConnectionError(str(error) or type(error).__name__) from error
