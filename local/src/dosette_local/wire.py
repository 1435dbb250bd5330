"""For tests: a wire between a program and a server, over TCP, that can be cut, go deaf, be slow, or lose what goes over it."""

import random
import socket
import threading
import time
from contextlib import suppress
from enum import StrEnum
from typing import Self

PIECE = 4096
LOOK_S = 0.05
AGAIN_S = 0.4
"""TCP itself sends again what was lost, after so long; so a loss is a delay."""


class State(StrEnum):
    WHOLE = "whole"
    CUT = "cut"
    DEAF = "deaf"
    """Half open: connections stand, and nothing comes through; new ones are accepted, and nobody is behind them."""


class Wire:
    """Listens on a port of its own; a context manager. `latency_s` is one way, `loss` the share of pieces that come late."""

    def __init__(self, to_port: int) -> None:
        self.state = State.WHOLE
        self.latency_s = 0.0
        self.loss = 0.0
        self._to = ("127.0.0.1", to_port)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._ends: set[socket.socket] = set()
        self._random = random.Random(1)
        self.port: int = self._listener.getsockname()[1]

    def cut(self) -> None:
        """Both sides notice."""
        self.state = State.CUT
        for end in list(self._ends):
            self._hang_up(end)

    def go_deaf(self) -> None:
        """Neither side notices."""
        self.state = State.DEAF

    def mend(self) -> None:
        """What went deaf stays so: a cable that is plugged in again knows nothing of old connections."""
        if self.state == State.DEAF:
            self.cut()
        self.state = State.WHOLE

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            if self.state == State.CUT:
                near.close()
                continue
            self._ends.add(near)
            if self.state == State.WHOLE:
                self._join(near)

    def _join(self, near: socket.socket) -> None:
        try:
            far = socket.create_connection(self._to, 3)
        except OSError:
            self._hang_up(near)
            return
        self._ends.add(far)
        for source, sink in ((near, far), (far, near)):
            threading.Thread(target=self._carry, args=(source, sink), daemon=True).start()

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while piece := source.recv(PIECE):
                time.sleep(self.latency_s + (AGAIN_S if self._random.random() < self.loss else 0.0))
                while self.state == State.DEAF:
                    time.sleep(LOOK_S)
                sink.sendall(piece)
        self._hang_up(source)
        self._hang_up(sink)

    def _hang_up(self, end: socket.socket) -> None:
        self._ends.discard(end)
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()
