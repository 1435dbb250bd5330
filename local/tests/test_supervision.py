"""When a child that ended is started again."""

from dosette_local.supervision import DELAYS_S, STEADY_AFTER_S, Backoff

KILLED, FAILED, DONE = -9, 1, 0


def test_one_that_is_struck_twice_comes_back_at_once_both_times() -> None:
    backoff = Backoff()

    assert [backoff.delay_s(1.0, KILLED) for _ in range(2)] == [0.2, 0.2]


def test_one_that_keeps_failing_is_waited_for_longer_and_longer_up_to_half_a_minute() -> None:
    backoff = Backoff()
    delays = [backoff.delay_s(0.5, FAILED) for _ in range(len(DELAYS_S) + 2)]

    assert delays == sorted(delays)
    assert delays[-3:] == [30.0, 30.0, 30.0]


def test_one_that_ran_steadily_has_a_clean_slate() -> None:
    backoff = Backoff()
    for _ in range(6):
        backoff.delay_s(1.0, FAILED)

    assert backoff.delay_s(STEADY_AFTER_S + 1, KILLED) == 0.2


def test_one_that_ended_after_its_work_is_not_waited_for() -> None:
    assert Backoff().delay_s(60.0, DONE) == 0.0


def test_one_that_ends_in_good_order_without_having_worked_is_waited_for() -> None:
    assert Backoff().delay_s(0.1, DONE) == 0.2
