"""How this machine becomes a panel of a household: by a code that was typed here, or by one that it shows itself."""

import http.client
import json
import secrets
import ssl
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from dosette.contracts.device_file import DeviceFile
from dosette.contracts.pairing import PATH, code_of, is_this_machine, read_code

ANSWER_S = 10.0
TRIES = 3
LONGEST_ANSWER = 10_000


class NotPaired(Exception):
    """One sentence: what is wrong, and what to do."""


class OutOfReach(NotPaired):
    """It may be there the next time."""


@dataclass(frozen=True)
class Server:
    """Where Dosette's api answers: `https://host[:port][/path]`, or plain http on this machine, or where `plain_http` allows it."""

    url: str
    plain_http: bool = False

    def __post_init__(self) -> None:
        """Raises NotPaired."""
        try:
            parts = urlsplit(self.url)
            whole = parts.port != 0 and parts.hostname and not (parts.query or parts.fragment)
        except ValueError:  # a port that is none, or a bracket that is not closed
            whole = False
        if not whole or parts.scheme not in ("http", "https"):
            raise NotPaired(f"{self.url} is no address of a server; write one such as https://dosette.example")
        if parts.hostname and parts.scheme == "http" and not (self.plain_http or is_this_machine(parts.hostname)):
            raise NotPaired(
                f"{self.url} is not https, so everybody on the way could read this panel's keys; use https, or allow it with "
                "--plain-http (DOSETTE_PLAIN_HTTP=1) on a network that you trust"
            )

    def ask(self, body: dict[str, object]) -> tuple[int, dict[str, object]]:
        """Status and answer. Raises NotPaired, OutOfReach."""
        parts = urlsplit(self.url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(parts.hostname or "", parts.port, timeout=ANSWER_S)
        try:
            headers = {"Content-Type": "application/json"}
            connection.request("POST", parts.path.rstrip("/") + PATH, json.dumps(body), headers)
            answer = connection.getresponse()
            return answer.status, _read(answer.read(LONGEST_ANSWER))
        except ssl.SSLCertVerificationError as error:
            raise NotPaired(f"the certificate of {self.url} is not to be trusted: {error.verify_message}") from error
        except (OSError, http.client.HTTPException) as error:
            raise OutOfReach(f"{self.url} can't be reached ({error}): is it right, is the server up?") from error
        finally:
            connection.close()


@dataclass(frozen=True)
class Applicant:
    """This machine, before it is a panel. `secret` never leaves it but to the server; `code` may be shown to everybody."""

    server: Server
    secret: str = field(default_factory=lambda: secrets.token_hex(32), repr=False)

    @property
    def code(self) -> str:
        return code_of(self.secret)

    @property
    def page(self) -> str:
        """Where a person reads what to do with the code."""
        return f"{self.server.url.rstrip('/')}{PATH}/{self.code}"

    def with_code(self, typed: str) -> DeviceFile:
        """For a code that was typed here. Asks again when the answer was lost: by the same secret the server tells it again.

        Raises NotPaired.
        """
        try:
            code = read_code(typed)
        except ValueError as error:
            raise NotPaired(f"{typed}: {error}") from None
        for _ in range(TRIES - 1):
            try:
                return self._asked(code)
            except OutOfReach:
                continue
        return self._asked(code)

    def as_shown(self) -> DeviceFile | None:
        """For the code that is shown here; None: nobody has entered it yet. Raises NotPaired."""
        status, answer = self.server.ask({"v": 1, "secret": self.secret})
        return None if status == http.HTTPStatus.ACCEPTED else self._file(status, answer)

    def _asked(self, code: str) -> DeviceFile:
        return self._file(*self.server.ask({"v": 1, "secret": self.secret, "code": code}))

    def _file(self, status: int, answer: dict[str, object]) -> DeviceFile:
        if status != http.HTTPStatus.OK:
            raise NotPaired(
                str(answer.get("detail") or f"{self.server.url} answered {status}: is it Dosette's address?")
            )
        try:
            file = DeviceFile.from_json(json.dumps(answer).encode())
        except ValueError as error:
            raise NotPaired(f"the answer of {self.server.url} {error}: is it Dosette's address?") from None
        redis = file.redis if not file.redis.startswith(":") else f"{urlsplit(self.server.url).hostname}{file.redis}"
        return replace(file, server=self.server.url, redis=redis)


def _read(body: bytes) -> dict[str, object]:
    try:
        answer = json.loads(body)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}
