"""Who may do what: roles of people, scopes of tokens."""

READ, DOSES, MEDICINES, STOCK = "read", "doses:take", "medicines:write", "stock:write"
MEMBERS, DEVICES = "members:write", "devices:write"
SCOPES = (READ, DOSES, MEDICINES, STOCK, MEMBERS, DEVICES)
ROLES = ("admin", "caregiver", "self", "viewer")


def scopes_of(role: str) -> tuple[str, ...]:
    """What a token of a member with this role may do, unless it was made with less."""
    return {
        "admin": SCOPES,
        "caregiver": (READ, DOSES, MEDICINES, STOCK),
        "self": (READ, DOSES, STOCK),
        "viewer": (READ,),
    }[role]
