"""A process with a dead or a stuck thread ends itself."""

from threading import Event

from dosette_display.crew import Crew, Watchdog


def test_a_failed_thread_stops_the_process_with_an_error(caplog):
    crew = Crew(stopping := Event())

    crew.start("faulty", lambda: 1 // 0)
    crew.join(1)

    assert crew.failed
    assert stopping.is_set()
    assert "a thread failed" in caplog.text


def test_a_loop_without_progress_ends_the_process(caplog):
    ended: list[int] = []

    Watchdog(lambda: 1.0, ended.append).run(Looks(times=100), every_s=5.0)

    assert ended == [1]
    assert "no progress" in caplog.text


def test_a_loop_with_progress_is_left_alone():
    ended: list[int] = []
    progress = iter(range(1000))

    Watchdog(lambda: next(progress), ended.append).run(Looks(times=100), every_s=5.0)

    assert not ended


class Looks(Event):
    """Time that passes at once."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self._left = times

    def wait(self, timeout: float | None = None) -> bool:
        self._left -= 1
        return self._left < 0
