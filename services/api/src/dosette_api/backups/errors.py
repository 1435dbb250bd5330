"""What can go wrong with a backup that a person can do something about."""

from dosette.domain.errors import DosetteError


class BackupError(DosetteError):
    """No backup was made, or none restored; what was there before is as it was."""

    code = "backup"
    title = "A backup could not be made or restored"
