"""Who may do what."""

from dosette.domain.members import ROLES, SCOPES, scopes_of


def test_every_role_has_scopes_that_exist():
    assert all(set(scopes_of(role)) <= set(SCOPES) for role in ROLES)


def test_a_viewer_only_looks():
    assert scopes_of("viewer") == ("read",)
