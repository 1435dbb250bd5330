"""The command `dosette-local`: up, down, status, database."""

import argparse
import os
import sys
import time
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path

from dosette_local import lock
from dosette_local.errors import CannotStart, Stopped
from dosette_local.folder import ROLES, Folder, read_object
from dosette_local.household import Access, Household, Settings
from dosette_local.ports import answers
from dosette_local.servers.postgres import SUPERUSER
from dosette_local.services import METERED, answered
from dosette_local.stores import Stores, given
from dosette_local.terminal import Stopping, complain, live_with_parent, show, step

STOP_TIMEOUT_S = 60.0


def main() -> None:
    arguments = _arguments()
    try:
        sys.exit(arguments.run(arguments))
    except CannotStart as reason:
        sys.exit(complain(str(reason)))
    except PermissionError as error:
        sys.exit(complain(f"{error.filename or 'The launcher'} belongs to another user ({error.strerror}): ask them."))
    except OSError as error:
        sys.exit(complain(f"{error.filename or 'The data folder'} cannot be used: {error.strerror}."))


def up(arguments: argparse.Namespace) -> int:
    """Runs the household until someone asks to stop."""
    if arguments.with_parent:
        live_with_parent()
    stopping = Stopping()
    household = Household(_settings(os.environ), step, show, stopping.pause)
    began = time.monotonic()
    try:
        access = household.start()
        _welcome(access, household.folder, time.monotonic() - began)
        household.watch()
    except Stopped:
        return 0
    finally:
        _stop(household)
    return 0


def down(_: argparse.Namespace) -> int:
    """Stops it from another shell."""
    folder = _folder(os.environ)
    if not lock.is_held(folder.lock):
        show(f"Nothing runs on {folder.path}.")
        return 0
    if not lock.end(folder.lock, STOP_TIMEOUT_S):
        return complain(f"It has not stopped after {STOP_TIMEOUT_S:g} s: see `fuser {folder.lock}`.")
    show("Stopped.")
    return 0


def status(_: argparse.Namespace) -> int:
    """Says what is well; exit code 1 when something isn't."""
    folder = _folder(os.environ)
    if not lock.is_held(folder.lock):
        show(f"Nothing runs on {folder.path}.")
        return 1
    url = str(read_object(folder.access).get("url", ""))
    ports = {name: port for name, port in read_object(folder.path / "ports.json").items() if isinstance(port, int)}
    well = {"api": bool(url) and answered(int(url.rpartition(":")[2]), "/ready") == HTTPStatus.OK}
    well |= {name: answered(ports.get(name, 0), "/health") == HTTPStatus.OK for name in METERED}
    well |= {name: answers(ports[name]) for name in ("postgres", "valkey") if (folder.path / name).exists()}
    show(url or "Not ready yet.")
    for name, is_well in well.items():
        show(f"  {name:<14} {'well' if is_well else f'not well, see {folder.log(name)}'}")
    return 0 if all(well.values()) else 1


def database(arguments: argparse.Namespace) -> int:
    """Prints the address of the running database for one of Dosette's roles, with its password."""
    folder = _folder(os.environ)
    if not lock.is_held(folder.lock):
        return complain(f"Nothing runs on {folder.path}: start it with `make up`.")
    settings = _settings(os.environ)
    ports = {name: int(str(port)) for name, port in read_object(folder.path / "ports.json").items()}
    stores = Stores(
        folder,
        database_url=settings.database_url,
        redis_url=settings.redis_url,
        ports=ports,
        keeps_open=(),
        pause=time.sleep,
    )
    show(stores.database if arguments.role == SUPERUSER else stores.database_of(arguments.role))
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="dosette-local", description="The whole household here, without Docker.")
    commands = parser.add_subparsers(required=True, metavar="up | down | status | database")
    starting = commands.add_parser("up", help="start everything, and stop it on Ctrl-C")
    starting.add_argument(
        "--with-parent", action="store_true", help="stop when the calling process ends, and take Ctrl-C in its place"
    )
    starting.set_defaults(run=up)
    commands.add_parser("down", help="stop everything, from another shell").set_defaults(run=down)
    commands.add_parser("status", help="say what runs and whether it is well").set_defaults(run=status)
    told = commands.add_parser("database", help="print the address of the running database, for backups and SQL")
    told.add_argument("role", nargs="?", default=SUPERUSER, choices=(SUPERUSER, *ROLES))
    told.set_defaults(run=database)
    return parser.parse_args()


def _settings(environ: Mapping[str, str]) -> Settings:
    return Settings(
        data=_folder(environ).path,
        port=_port(environ.get("PORT") or "8080"),
        database_url=given(environ, "DATABASE_URL"),
        redis_url=given(environ, "REDIS_URL"),
        bin=Path(sys.executable).parent,  # not resolved: .venv/bin/python is a link to another folder
        environ=environ,
    )


def _folder(environ: Mapping[str, str]) -> Folder:
    return Folder(Path(os.path.abspath(environ.get("DOSETTE_DATA") or ".dosette")))


def _port(text: str) -> int:
    if text.isdecimal() and 0 < int(text) < 65536:
        return int(text)
    raise CannotStart(f"PORT={text} is no port: set it to a number from 1 to 65535.")


def _welcome(access: Access, folder: Folder, took_s: float) -> None:
    show(f"\nDosette is ready after {took_s:.1f} s: {access.url}\n")
    show(f"  token    {access.token}")
    show(f"  panel    {folder.device / 'panel.png'}")
    show(f"           {access.url}/api/v1/devices/{access.device}/frame.png")
    for number, (name, url) in enumerate(access.metrics.items()):
        show(f"  {'' if number else 'metrics':<8} {url} ({name})")
    show(
        f"  logs     {folder.logs}\n\nTry it: curl -H 'Authorization: Bearer {access.token}' {access.url}/api/v1/medicines"
    )
    show("Ctrl-C or `make down` stops it.")


def _stop(household: Household) -> None:
    began = time.monotonic()
    if ended := household.stop():
        show(f"\nStopped {', '.join(ended)} in {time.monotonic() - began:.1f} s.")


if __name__ == "__main__":
    main()
