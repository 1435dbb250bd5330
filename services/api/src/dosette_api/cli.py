"""The command `dosette`: for the person who runs the server, at its console."""

import os
import sys
from collections.abc import Callable
from datetime import time, timedelta
from functools import wraps
from pathlib import Path
from typing import Any, NoReturn
from zoneinfo import available_timezones

import click
import msgspec
import psycopg2

from dosette import process
from dosette.actions import contacts, devices, exports, history, households, restores
from dosette.actions.contacts import CHANNELS
from dosette.actions.devices import ServerKeys
from dosette.actions.replies import Request
from dosette.contracts.device_file import DeviceFile
from dosette.contracts.look import Look, look_token
from dosette.domain.errors import DosetteError
from dosette.domain.members import ROLES, SCOPES
from dosette.metrics import serve_metrics
from dosette.process import Process
from dosette.settings import BadSetting
from dosette.storage.connection import Database
from dosette.storage.migrate import ROLES as DATABASE_ROLES
from dosette.storage.migrate import migrate as apply_migrations
from dosette_api import demo as demonstration
from dosette_api import told
from dosette_api.backups import backup, keys, nightly, restore
from dosette_api.contacts import check_address
from dosette_api.moving import checked
from dosette_api.shapes import Line


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Dosette's command line; DATABASE_URL says which server it speaks to."""


def _console(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command its process; says our errors in one sentence, with exit code 1."""

    @wraps(command)
    def run(**options: Any) -> None:
        started = process.start("console")
        try:
            command(started, **options)
        except DosetteError as error:
            _give_up(error.message)
        except psycopg2.OperationalError as error:
            _give_up(f"the database is out of reach: {str(error).strip()}")

    return run


@main.command()
@_console
def migrate(started: Process) -> None:
    """Bring the database up to date (DATABASE_URL of a superuser)."""
    passwords = {role: started.env.optional(f"DOSETTE_DB_PASSWORD_{role.upper()}") for role in DATABASE_ROLES}
    applied = apply_migrations(
        started.env.text("DATABASE_URL"), {role: word for role, word in passwords.items() if word}
    )
    click.echo(f"applied {', '.join(applied)}" if applied else "the database is up to date")


@main.command()
@_console
def demo(started: Process) -> None:
    """Fill a new server with a household to look at: three people, thirteen medicines, two weeks of history."""
    made = demonstration.fill(_database(started), started.clock())
    click.echo("the demo household lives here now" if made else "there is a household already; nothing was changed")


def _line(_context: click.Context, _parameter: click.Parameter, text: str) -> str:
    """A name as the API takes it."""
    try:
        return msgspec.convert(text, Line)
    except msgspec.ValidationError:
        raise click.BadParameter("one line of 1 to 100 characters, not all of them blank") from None


@main.command()
@click.argument("name", callback=_line)
@click.option("--zone", required=True, help="IANA time zone, such as Europe/Berlin.")
@_console
def found(started: Process, name: str, zone: str) -> None:
    """Make a household; prints its id. Then add its members."""
    if zone not in available_timezones():
        _give_up(f"{zone} is not an IANA time zone; Europe/Berlin is one")
    click.echo(households.found(_database(started), name, zone, started.clock()))


@main.command("export")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--household", help="Name of the household, where there are several.")
@_console
def export_household(started: Process, file: Path, household: str | None) -> None:
    """Write everything of a household to FILE, for its owner alone to read."""
    database = _database(started)
    home = households.to_look_into(database, household)
    part = file.with_name(f"{file.name}.part")
    try:
        with open(part, "w", encoding="utf-8", opener=lambda path, flags: os.open(path, flags, 0o600)) as out:
            out.writelines(exports.export(database, home))
        part.replace(file)  # all of it, or what was there before
    except OSError as error:
        _give_up(f"{file} can't be written: {error.strerror}")
    click.echo(f"the household is in {file}")


@main.command("import")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--household", help="Name of the empty household that it becomes, where there are several.")
@_console
def import_household(started: Process, file: Path, household: str | None) -> None:
    """Make an empty household the one in FILE, with all its ids and history."""
    try:
        raw = file.read_bytes()
    except OSError as error:
        _give_up(f"{file} can't be read: {error.strerror}")
    database, zone = _database(started), checked(raw).household.zone
    home = households.at_home(database, household)
    told = exports.move_in(database, home, raw.decode(), zone, Request(None, b""), started.clock())
    click.echo(told.body)


@main.command()
@click.option("--household", help="Name of the household; all of them when left out.")
@_console
def verify(started: Process, household: str | None) -> None:
    """Prove that no event was altered, removed or moved; exit code 1 when one was, naming it."""
    database = _database(started)
    chains = [history.verify(database, home) for home in households.every_one(database, household)]
    for chain in chains:
        click.echo(f"{chain.household}: {chain.events} events, head {chain.head}, {len(chain.faults) or 'no'} faults")
        for fault in chain.faults:
            click.echo(f"  {fault.list}: {fault.which}: {fault.what}", err=True)
    if any(chain.faults for chain in chains):
        sys.exit(1)


@main.command("backup-key")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@_console
def make_backup_key(started: Process, file: Path) -> None:
    """Make a key for backups: the private one into FILE, which you keep elsewhere; prints the public one, which the server needs."""
    click.echo(keys.make(file, started.clock()))


@main.command("backup")
@click.option("--now/--nightly", "at_once", default=True, help="One now, or one every night until it is told to stop.")
@_console
def make_backup(started: Process, at_once: bool) -> None:
    """Back everything up into DOSETTE_BACKUP_DIR (DATABASE_URL of the role dosette_backup), and restore it for trial."""
    env = started.env
    url, folder = env.text("DATABASE_URL"), env.path("DOSETTE_BACKUP_DIR") or Path("backups")
    to = env.text("DOSETTE_BACKUP_TO", "")
    if at_once:
        made = backup.make(url, folder, to, started.clock)
        click.echo(f"{made.file}: {made.size_bytes} bytes, {made.rows} rows, restored for trial and found equal")
        return
    daily_at = _time_of_day(env.text("DOSETTE_BACKUP_AT", "03:00"))
    serve_metrics(started.common.metrics_bind)
    nightly.keep_making(url, folder, to, daily_at, started.clock, started.stopping)


def _time_of_day(text: str) -> time:
    try:
        return time.fromisoformat(text)
    except ValueError:
        raise BadSetting(f"DOSETTE_BACKUP_AT={text}: a time of day in UTC is wanted, such as 03:00") from None


@main.command("restore")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--key",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    help="The file with the private key; - to read it from standard input.",
)
@click.option("--yes", is_flag=True, help="Also when somebody lives there: the database that is there is kept beside.")
@_console
def restore_backup(started: Process, file: Path, key: Path, yes: bool) -> None:
    """Make the server (DATABASE_URL of a superuser) the one in FILE: all of it, or nothing is changed."""
    told = restore.restore(started.env.text("DATABASE_URL"), file, key, yes, started.clock())
    until = f" of {told.dumped_at:%Y-%m-%d %H:%M} UTC" if told.dumped_at else ""
    click.echo(f"restored as in the backup{until}; what was taken since is not known:")
    for household, doses in told.unknown.items():
        click.echo(
            f"  {household}: {doses} doses unknown; say which were taken, then run: dosette release --household '{household}'"
        )
    for fault in told.broken:
        click.echo(f"dosette: {fault}", err=True)
    if told.before:
        click.echo(
            f'the database that was there is kept; when all is well, remove it with SQL: DROP DATABASE "{told.before}"'
        )


@main.command()
@click.option("--household", help="Name of the household, where there are several.")
@_console
def release(started: Process, household: str | None) -> None:
    """After a restore: what is still unknown counts as not taken, and is reminded of again."""
    database = _database(started)
    released = restores.release(database, households.at_home(database, household), started.clock())
    click.echo(f"{released} doses were unknown: they are open again, or missed when their time is over")


@main.group()
def member() -> None:
    """People of the household."""


@member.command("add")
@click.argument("name", callback=_line)
@click.option("--role", type=click.Choice(ROLES), default="self", show_default=True)
@click.option("--household", help="Name of the household, where there are several.")
@_console
def add_member(started: Process, name: str, role: str, household: str | None) -> None:
    """Add a person; prints what was added."""
    database = _database(started)
    home = households.at_home(database, household)
    click.echo(households.add_member(database, home, name, role, Request(None, b""), started.clock()).body)


@main.group()
def contact() -> None:
    """Whom to tell, and how."""


@contact.command("add")
@click.argument("member")
@click.argument("channel", type=click.Choice(CHANNELS))
@click.argument("address")
@click.option("--household", help="Name of the household, where there are several.")
@_console
def add_contact(started: Process, member: str, channel: str, address: str, household: str | None) -> None:
    """Tell MEMBER through CHANNEL at ADDRESS; prints what was added, a webhook's secret this once."""
    check_address(channel, address)
    database = _database(started)
    home = households.at_home(database, household)
    member_id = households.member_named(database, home, member)
    click.echo(contacts.add(database, home, member_id, channel, address, Request(None, b""), started.clock()).body)


@main.group()
def token() -> None:
    """Access for programs."""


@token.command("create")
@click.option("--name", required=True, help="What it is for.")
@click.option("--member", help="Who acts with it: history names them.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(SCOPES),
    help="May be given several times; what the member may, or all, when left out.",
)
@click.option("--household", help="Name of the household, where there are several.")
@_console
def create_token(
    started: Process, name: str, member: str | None, scopes: tuple[str, ...], household: str | None
) -> None:
    """Make a token and print it; it can't be seen again."""
    database = _database(started)
    home = households.at_home(database, household)
    click.echo(households.add_token(database, home, name, member, scopes, started.clock()))


@main.group()
def device() -> None:
    """Panels."""


@device.command("pair")
@click.argument("name", callback=_line)
@click.option("--code", help="The code that an unpaired panel shows.")
@click.option(
    "--into",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of an agent on this machine: pair it at once.",
)
@click.option("--redis", help="With --into: HOST:PORT of Redis as the agent reaches it.")
@click.option("--server", help="Address under which the panel reaches the api; else DOSETTE_PUBLIC_URL.")
@click.option("--household", help="Name of the household, where there are several.")
@_console
def pair_device(
    started: Process,
    name: str,
    code: str | None,
    into: Path | None,
    redis: str | None,
    server: str | None,
    household: str | None,
) -> None:
    """Admit a panel that stands at NAME, such as Kitchen, by a code to type there; a panel of that name is replaced."""
    database, keys = _database(started), ServerKeys(started.env.text("DOSETTE_SECRET"))
    home, server = households.at_home(database, household), server or started.env.text("DOSETTE_PUBLIC_URL", "")
    if into is not None:
        click.echo(_paired_into(into, devices.pair(database, home, name, keys, _given(redis), server, started.clock())))
        return
    offer = devices.offer(database, home, name, code, keys, started.clock())
    click.echo(told.shown(offer) if code else told.typed(offer, server))


@device.command("list")
@click.option("--household", help="Name of the household, where there are several.")
@_console
def list_devices(started: Process, household: str | None) -> None:
    """How the panels are."""
    database, now = _database(started), started.clock()
    items = devices.look(database, households.to_look_into(database, household), now).devices
    click.echo("\n".join(told.line(each, now) for each in items) or "no panel was ever paired")


@device.command("revoke")
@click.argument("name")
@click.option("--household", help="Name of the household, where there are several.")
@_console
def revoke_device(started: Process, name: str, household: str | None) -> None:
    """End a panel's access: within ten seconds it says so, and shows no doses."""
    database = _database(started)
    home = households.at_home(database, household)
    devices.revoke(database, home, devices.named(database, home, name), started.clock())
    click.echo(f"{name} is no longer paired")


@device.command("rotate")
@click.argument("name")
@click.option("--household", help="Name of the household, where there are several.")
@_console
def rotate_device(started: Process, name: str, household: str | None) -> None:
    """Give a panel new keys; it gets them by itself."""
    database = _database(started)
    home = households.at_home(database, household)
    until = devices.rotate(database, home, devices.named(database, home, name), started.clock())
    click.echo(f"{name} gets new keys; its old ones are believed until {until:%Y-%m-%d %H:%M} UTC")


@device.command("page")
@click.option("--days", type=click.IntRange(1, 366), default=30, show_default=True, help="How long the link works.")
@click.option("--server", help="Address of the api; else DOSETTE_PUBLIC_URL.")
@click.option("--household", help="Name of the household, where there are several.")
@_console
def page_of_devices(started: Process, days: int, server: str | None, household: str | None) -> None:
    """Print a link to a page that shows the panels; who has it may look, and change nothing."""
    database, key = _database(started), started.env.text("DOSETTE_LINK_KEY")
    look = Look(households.its_id(database, household), started.clock() + timedelta(days=days))
    server = server or started.env.text("DOSETTE_PUBLIC_URL", "")
    click.echo(f"{server.rstrip('/')}/panels/{look_token(look, key)}")


def _paired_into(folder: Path, file: DeviceFile) -> str:
    try:
        file.write(folder / "device.json")
    except OSError as error:
        _give_up(f"{folder / 'device.json'} can't be written: {error.strerror}; the device must be paired again")
    return file.device_id


def _given(redis: str | None) -> str:
    if redis is None:
        raise click.UsageError("--into needs --redis HOST:PORT")
    return redis


def _database(started: Process) -> Database:
    return Database(started.env.text("DATABASE_URL"), "dosette-console")


def _give_up(sentence: str) -> NoReturn:
    click.echo(f"dosette: {sentence}", err=True)
    sys.exit(1)


if __name__ == "__main__":
    main()
