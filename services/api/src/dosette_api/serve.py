"""How the API is served: gunicorn, one process with threads, set up in `gunicorn_conf.py`."""

import os
import sys

from flask import Flask

from dosette.actions.devices import ServerKeys
from dosette.clock import clock_from
from dosette.faults import arm
from dosette.settings import Common, Environment
from dosette.storage.connection import Database
from dosette_api.app import create_app
from dosette_api.household import Household


def application() -> Flask:
    """The app as the environment describes it; gunicorn calls it once, before it forks."""
    env = Environment(os.environ)
    common = Common.of(env)
    arm(common.faults)
    secret = env.optional("DOSETTE_SECRET")
    outside = Household(
        Database(env.text("DATABASE_URL"), "dosette-api", watched=True),
        clock_from(common.clock_file),
        redis_url=env.optional("REDIS_URL"),
        link_key=env.optional("DOSETTE_LINK_KEY"),
        device_keys=ServerKeys(secret) if secret else None,
        redis_for_devices=env.optional("DOSETTE_REDIS_FOR_DEVICES"),
    )
    return create_app(outside)


def main() -> None:
    """The console command `dosette-api`: becomes gunicorn."""
    env = Environment(os.environ)
    env.text("DATABASE_URL")
    Common.of(env)
    config, app = "python:dosette_api.gunicorn_conf", "dosette_api.serve:application()"
    os.execv(sys.executable, [sys.executable, "-m", "gunicorn", "-c", config, app])  # noqa: S606
