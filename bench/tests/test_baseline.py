"""Results kept by name: whole or not at all, and only such as can be compared with."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from dosette_bench import baseline
from dosette_bench.errors import CannotMeasure


def test_what_is_saved_can_be_loaded(result: dict[str, Any], tmp_path: Path):
    path = baseline.save(result, tmp_path)

    assert path == tmp_path / "baselines" / "baseline.json"
    assert baseline.load(tmp_path) == result


def test_baselines_are_listed_by_name(result: dict[str, Any], tmp_path: Path):
    assert baseline.names(tmp_path) == []

    baseline.save(result, tmp_path, "release-1.0")
    baseline.save(result, tmp_path, "before")

    assert baseline.names(tmp_path) == ["before", "release-1.0"]


def test_saving_replaces_and_can_tell_what(result: dict[str, Any], tmp_path: Path):
    assert baseline.replaces(tmp_path) is None
    baseline.save({**result, "commit": "aaaaaaaaaaaa"}, tmp_path)

    assert baseline.replaces(tmp_path) == "aaaaaaaaaaaa, 2025-03-30 12:00"
    baseline.save({**result, "commit": "bbbbbbbbbbbb"}, tmp_path)

    assert baseline.load(tmp_path)["commit"] == "bbbbbbbbbbbb"


def test_a_baseline_of_another_version_is_replaced_with_a_word(result: dict[str, Any], tmp_path: Path):
    baseline.save({**result, "schema_version": 1}, tmp_path)

    assert baseline.replaces(tmp_path) == "a file that this dosette-bench can't read"


@pytest.mark.parametrize("name", ["", ".", "..", "../up", "a/b", ".hidden", "two words", "é", "a\n", "a" * 101])
def test_a_name_that_is_no_name_is_refused(result: dict[str, Any], tmp_path: Path, name: str):
    with pytest.raises(CannotMeasure, match="can't name a baseline: take up to 100 letters"):
        baseline.save(result, tmp_path, name)
    with pytest.raises(CannotMeasure, match="can't name a baseline"):
        baseline.load(tmp_path, name)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a", "release-1.0", "main_2", "2025-03-30"])
def test_letters_digits_and_three_signs_make_a_name(result: dict[str, Any], tmp_path: Path, name: str):
    assert baseline.save(result, tmp_path, name).name == f"{name}.json"


def test_a_run_that_was_stopped_is_no_baseline(result: dict[str, Any], tmp_path: Path):
    with pytest.raises(CannotMeasure, match="was stopped before its end, so a part of it would be missing"):
        baseline.save({**result, "interrupted": True}, tmp_path)

    assert baseline.names(tmp_path) == []


def test_a_baseline_that_is_not_there_says_which_are(result: dict[str, Any], tmp_path: Path):
    with pytest.raises(CannotMeasure, match="`dosette-bench baseline save` keeps a result as one"):
        baseline.load(tmp_path, "main")

    baseline.save(result, tmp_path, "before")
    with pytest.raises(CannotMeasure, match=r"no baseline main is in .*baselines; there is before"):
        baseline.load(tmp_path, "main")


def test_a_baseline_of_another_version_says_what_to_do(result: dict[str, Any], tmp_path: Path):
    baseline.save({**result, "schema_version": 1}, tmp_path)

    with pytest.raises(CannotMeasure, match="has version 1, and this dosette-bench reads version"):
        baseline.load(tmp_path)


def test_a_folder_that_can_not_be_written_says_what_to_do(result: dict[str, Any], tmp_path: Path):
    (tmp_path / "baselines").write_text("a file in the way")

    with pytest.raises(CannotMeasure, match=r"can't be written: .*; say --out FOLDER"):
        baseline.save(result, tmp_path)


def test_when_the_disk_is_full_the_old_baseline_stays(result: dict[str, Any], tmp_path: Path):
    baseline.save(result, tmp_path)

    with no_file_over(100), pytest.raises(CannotMeasure, match="can't be written"):
        baseline.save({**result, "padding": "x" * 100_000}, tmp_path)

    assert baseline.load(tmp_path) == result
    assert baseline.names(tmp_path) == ["baseline"]


@contextmanager
def no_file_over(size: int) -> Iterator[None]:
    """What a full disk does: a write that comes to its end too early."""
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, usual[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)
