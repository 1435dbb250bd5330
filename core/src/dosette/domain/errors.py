"""The one error tree. Its messages say what, which, and what to do."""

from collections.abc import Mapping


class DosetteError(Exception):
    """Something that a caller can act on. `facts` are further members of the answer: who, when, which field."""

    code = "error"
    title = "Something went wrong"

    def __init__(self, message: str, facts: Mapping[str, object] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.facts = dict(facts or {})


class Invalid(DosetteError):
    """The request is not one: a field is missing, wrong, unknown or out of bounds."""

    code = "invalid"
    title = "The request is not valid"


class Unauthorized(DosetteError):
    code = "unauthorized"
    title = "No valid token"


class Forbidden(DosetteError):
    code = "forbidden"
    title = "The token may not do this"


class NotFound(DosetteError):
    """Not there, or another household's: the two are not told apart."""

    code = "not-found"
    title = "Not found"


class Refused(DosetteError):
    """The state of things forbids it; `facts` tell that state."""

    code = "refused"
    title = "Refused"


class KeyReused(DosetteError):
    code = "idempotency-key-reused"
    title = "The idempotency key was used for another request"


class OverLimit(DosetteError):
    """A safe limit of a medicine as needed would be broken; `facts` tell which, and from when it would not."""

    code = "over-limit"
    title = "Too soon or too much"


class Changed(DosetteError):
    """Somebody changed the thing between reading and writing; reading again and repeating is right."""

    code = "changed"
    title = "It was changed meanwhile"


class Unavailable(DosetteError):
    """A server we need is out of reach; nothing was saved, unless the message says that nobody knows."""

    code = "unavailable"
    title = "Out of reach for the moment"
