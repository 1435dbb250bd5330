"""The journal: what was saved is there after a power cut at any byte."""

import errno
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from dosette.testing import NOON, a_press
from dosette_display.journal import Journal, NotSaved

DEVICE = "device"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal"


def saved(path: Path, *numbers: int) -> Journal:
    journal = Journal(path, DEVICE)
    for number in numbers:
        journal.append(a_press(DEVICE, f"dose {number}", number=number))
    return journal


def numbers(journal: Journal) -> list[int]:
    return [press.number for press in journal.waiting()]


def test_a_saved_press_is_there_after_a_restart(path):
    before = saved(path, 1, 2).waiting()

    assert Journal(path, DEVICE).waiting() == before


def test_a_journal_torn_at_any_byte_loses_no_press_before_the_tear(path):
    saved(path, 1, 2, 3)
    whole = path.read_bytes()
    ends = [end for end in range(len(whole)) if whole[end : end + 1] == b"\n"]  # of the header and of three presses

    for cut in range(len(whole) + 1):
        path.write_bytes(whole[:cut])
        journal = Journal(path, DEVICE)
        complete = sum(cut >= end for end in ends[1:])
        assert numbers(journal) == [1, 2, 3][:complete]
        journal.append(a_press(DEVICE, "after", number=9))
        assert numbers(Journal(path, DEVICE)) == [*[1, 2, 3][:complete], 9]


def test_a_damaged_record_in_the_middle_is_skipped_and_kept_aside(path, caplog):
    saved(path, 1, 2, 3)
    damaged = path.read_bytes().replace(b"dose 2", b"dose 7")
    path.write_bytes(damaged)

    assert numbers(Journal(path, DEVICE)) == [1, 3]
    assert "damaged" in caplog.text
    assert path.with_name("journal.damaged").read_bytes() == damaged


def test_any_byte_may_be_damaged_and_the_other_presses_stay(path):
    saved(path, 1, 2, 3)
    whole = path.read_bytes()

    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x04]) + whole[at + 1 :])
        assert len(numbers(Journal(path, DEVICE))) >= 1


def test_acknowledged_presses_wait_no_more_and_the_numbers_go_on(path):
    journal = saved(path, 1, 2)

    dropped = journal.acknowledge(2, "epoch", NOON)

    assert [press.number for press in dropped] == [1, 2]
    assert numbers(Journal(path, DEVICE)) == []
    assert Journal(path, DEVICE).next_number(0) == 3


def test_a_restored_server_is_sent_what_it_has_forgotten_also_after_a_restart(path):
    saved(path, 1, 2, 3).acknowledge(3, "epoch", NOON)
    journal = Journal(path, DEVICE)
    journal.append(a_press(DEVICE, "dose 4", number=4))

    taken_in = journal.acknowledge(1, "restored", NOON + timedelta(days=1))

    assert taken_in == ()
    assert numbers(journal) == numbers(Journal(path, DEVICE)) == [2, 3, 4]
    journal.acknowledge(4, "restored", NOON + timedelta(days=1))
    assert numbers(journal) == []


def test_what_was_taken_in_is_kept_for_seven_days_by_the_servers_clock(path):
    journal = saved(path, 1, 2)
    journal.acknowledge(1, "epoch", NOON)
    journal.acknowledge(2, "epoch", NOON + timedelta(days=7))

    journal.acknowledge(0, "restored", NOON + timedelta(days=7))

    assert numbers(journal) == [2]


def test_a_lower_number_in_the_same_epoch_sends_nothing_again(path):
    journal = saved(path, 1, 2)
    journal.acknowledge(2, "epoch", NOON)

    journal.acknowledge(0, "epoch", NOON)

    assert numbers(journal) == []


def test_a_journal_that_was_torn_while_it_was_written_anew_is_the_old_or_the_new_one(path):
    journal = saved(path, 1, 2)
    before = path.read_bytes()
    journal.acknowledge(1, "epoch", NOON)
    after = path.read_bytes()

    for cut in range(len(after)):
        path.write_bytes(before)
        path.with_name("journal.new").write_bytes(after[:cut])
        assert numbers(Journal(path, DEVICE)) == [1, 2]
    path.write_bytes(after)
    assert numbers(Journal(path, DEVICE)) == [2]


def test_numbers_go_on_from_the_server_when_the_file_was_lost(path):
    assert Journal(path, DEVICE).next_number(taken_in=41) == 42


def test_a_part_of_the_presses_may_be_acknowledged(path):
    journal = saved(path, 1, 2, 3)

    journal.acknowledge(2, "epoch", NOON)

    assert numbers(journal) == [3]


@pytest.mark.parametrize("fault", [errno.ENOSPC, errno.EROFS, errno.EIO])
def test_a_press_that_cannot_be_written_is_refused_and_leaves_nothing_behind(path, monkeypatch, fault):
    journal = saved(path, 1)

    def broken(descriptor: int, content: bytes) -> int:
        raise OSError(fault, os.strerror(fault))

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", broken)
        with pytest.raises(NotSaved, match=os.strerror(fault)):
            journal.append(a_press(DEVICE, "lost", number=2))

    assert numbers(journal) == [1]
    assert numbers(Journal(path, DEVICE)) == [1]


@contextmanager
def a_card_with_room_for(size: int) -> Iterator[None]:
    """The kernel itself refuses each byte beyond, as on a full card, whoever runs the test."""
    before, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (before, most))


def test_a_card_that_is_full_at_any_byte_of_a_press_keeps_no_part_of_it_and_takes_it_when_there_is_room(path):
    saved(path, 1).close()
    before = path.read_bytes()
    saved(path, 2).close()

    for room in range(0, path.stat().st_size, 7):
        path.write_bytes(before)
        journal = Journal(path, DEVICE)
        with a_card_with_room_for(room), pytest.raises(NotSaved):
            journal.append(a_press(DEVICE, "dose 2", number=2))
        assert (path.stat().st_size, numbers(Journal(path, DEVICE))) == (len(before), [1])
        journal.append(a_press(DEVICE, "dose 2", number=2))
        journal.close()
        assert numbers(Journal(path, DEVICE)) == [1, 2]


def test_after_a_failed_fsync_the_press_is_not_in_the_file_and_the_next_one_is(path, monkeypatch):
    journal = saved(path, 1)

    def broken(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", broken)
        with pytest.raises(NotSaved):
            journal.append(a_press(DEVICE, "lost", number=2))
    journal.append(a_press(DEVICE, "kept", number=2))

    assert [press.dose_ids for press in Journal(path, DEVICE).waiting()] == [("dose 1",), ("kept",)]


def test_presses_of_another_device_are_kept_aside_and_not_sent(path):
    journal = saved(path, 1)
    journal.append(replace(a_press("other", "dose", number=2)))

    assert numbers(Journal(path, DEVICE)) == [1]
    assert path.with_name("journal.of-another-device").exists()
