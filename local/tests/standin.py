"""Stands in for every Dosette command, chosen by the name it is called under, so that the launcher is tested alone.

STANDIN=name:what makes the one of that name misbehave: `fail` ends with an error, `mute` never answers, `brief` ends well
after 1.5 s.
"""

import json
import os
import signal
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


def main() -> None:
    name = Path(sys.argv[0]).name
    who, _, what = os.environ.get("STANDIN", "").partition(":")
    trouble = what if who == name else ""
    if trouble == "fail":
        sys.exit(json.dumps({"level": "error", "event": f"{name} has a bad day"}))
    if name == "dosette":
        command(sys.argv[1:])
    else:
        serve(trouble)


def command(words: list[str]) -> None:
    required = {"migrate": "DOSETTE_DB_PASSWORD_API", "device": "DOSETTE_SECRET"}
    assert "dosette" in os.environ["DATABASE_URL"]
    assert os.environ.get(required.get(words[0], "DATABASE_URL"))
    if words[0] == "token":
        print("the-token")
    if words[0] == "device":
        (Path(words[words.index("--into") + 1]) / "device.json").write_text("{}")
        print("the-device")


def serve(trouble: str) -> None:
    host, _, port = (os.environ.get("DOSETTE_BIND") or os.environ["DOSETTE_METRICS_BIND"]).rpartition(":")
    server = None if trouble == "mute" else ThreadingHTTPServer((host, int(port)), Well)
    done = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: done.set())
    if server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    print(json.dumps({"level": "info", "event": "listening"}), file=sys.stderr, flush=True)
    done.wait(1.5 if trouble == "brief" else None)


class Well(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


if __name__ == "__main__":
    main()
