"""The journal: what was saved is there after a power cut at any byte."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from dosette.testing import a_press
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


def test_acknowledged_presses_leave_the_journal_and_the_numbers_go_on(path):
    journal = saved(path, 1, 2)

    dropped = journal.acknowledge(2)

    assert [press.number for press in dropped] == [1, 2]
    assert b"press" not in path.read_bytes()
    assert Journal(path, DEVICE).next_number(0) == 3


def test_numbers_go_on_from_the_server_when_the_file_was_lost(path):
    assert Journal(path, DEVICE).next_number(taken_in=41) == 42


def test_a_part_of_the_presses_may_be_acknowledged(path):
    journal = saved(path, 1, 2, 3)

    journal.acknowledge(2)

    assert numbers(journal) == [3]


def test_a_press_that_cannot_be_written_is_refused_and_leaves_nothing_behind(path, monkeypatch):
    journal = saved(path, 1)

    def full(descriptor: int, content: bytes) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(NotSaved, match="No space left"):
            journal.append(a_press(DEVICE, "lost", number=2))

    assert numbers(journal) == [1]
    assert numbers(Journal(path, DEVICE)) == [1]


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
