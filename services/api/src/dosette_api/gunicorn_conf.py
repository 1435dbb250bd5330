"""gunicorn's settings. One worker with threads: its metrics need no shared files, and a household no second process."""

import gc
import os
from typing import Any

from dosette.settings import LOG_LEVELS, Environment

_env = Environment(os.environ)

bind = _env.text("DOSETTE_BIND", "127.0.0.1:8080")
workers = 1
worker_class = "gthread"
# Each that asks at the same time as another needs a connection, which costs PostgreSQL 10 MB; more of them answer no faster.
threads = _env.number("DOSETTE_API_THREADS", 4)
backlog = 1024
keepalive = 30
timeout = 30
graceful_timeout = 5
preload_app = True
control_socket_disable = True  # else gunicorn 27 opens a socket under the home folder, which may be read-only
worker_tmp_dir = "/dev/shm"  # noqa: S108  the heartbeat file must not wait for a slow card
forwarded_allow_ips = _env.text("DOSETTE_FORWARDED_ALLOW_IPS", "127.0.0.1")
proc_name = "dosette-api"
logconfig_dict: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "dosette.logs.JsonFormatter", "service": "api"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
    "root": {"level": _env.one_of("DOSETTE_LOG_LEVEL", LOG_LEVELS, "info").upper(), "handlers": ["stderr"]},
    "loggers": {
        "gunicorn.error": {"handlers": [], "propagate": True},
        "gunicorn.access": {"handlers": [], "propagate": False},
    },
}


def when_ready(server: object) -> None:
    """What was loaded before the fork stays shared: the collector doesn't touch it any more."""
    gc.freeze()


def post_fork(server: object, worker: object) -> None:
    gc.enable()


gc.disable()
