"""Codes that pair a panel: who knows one may have the panel's keys, once, within minutes.

The server makes the short ones, for a person to type at the panel: `K7QM-9XD4`. A panel makes long ones, for a person to type at the
server: the panel shows the code and keeps the secret that the code is a digest of, so that who only sees the code gets nothing.
"""

import hashlib
import hmac
import secrets
from ipaddress import ip_address

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's: no letter is taken for another."""
HANDLE = 3
"""A code's first letters say which code is being guessed: 25 bits are left to guess."""
MADE_BY_SERVER, MADE_BY_PANEL = 8, 12
PATH = "/pair"

_GROUP = 4
_LOOK_ALIKE = str.maketrans({"O": "0", "I": "1", "L": "1", "-": "", " ": ""})


def new_code() -> str:
    """One of the server's."""
    return _text("".join(secrets.choice(ALPHABET) for _ in range(MADE_BY_SERVER)))


def code_of(secret: str) -> str:
    """The code that a panel with this secret shows."""
    number = int.from_bytes(hashlib.sha256(f"dosette|pairing|{secret}".encode()).digest(), "big")
    return _text("".join(ALPHABET[number >> 5 * place & 31] for place in range(MADE_BY_PANEL)))


def read_code(typed: str) -> str:
    """A code as it is kept, however it was typed. Raises ValueError."""
    letters = typed.upper().translate(_LOOK_ALIKE)
    if len(letters) not in (MADE_BY_SERVER, MADE_BY_PANEL) or set(letters) - set(ALPHABET):
        raise ValueError("a code is 8 or 12 letters and digits, such as K7QM-9XD4")
    return _text(letters)


def is_made_by_panel(code: str) -> bool:
    return len(code.replace("-", "")) == MADE_BY_PANEL


def code_digest(code: str, server_secret: str) -> bytes:
    """What the server keeps of a code: worthless without the server's secret."""
    return hmac.new(server_secret.encode(), f"dosette|pairing|{code}".encode(), hashlib.sha256).digest()


def is_this_machine(host: str) -> bool:
    """Whether a name or address stays on its machine: nobody can listen there, and no panel elsewhere gets an answer."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _text(letters: str) -> str:
    return "-".join(letters[at : at + _GROUP] for at in range(0, len(letters), _GROUP))
