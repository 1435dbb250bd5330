"""Settings, and the example file that lists them."""

from pathlib import Path

import pytest

from dosette.settings import BadSetting, Common, Environment


def test_a_variable_may_be_given_as_a_file(tmp_path: Path):
    (tmp_path / "secret").write_text("s3cret\n")

    assert Environment({"NAME_FILE": str(tmp_path / "secret")}).text("NAME") == "s3cret"


def test_a_missing_variable_stops_with_its_name():
    with pytest.raises(BadSetting, match="REDIS_URL is not set"):
        Environment({}).text("REDIS_URL")


def test_a_file_that_can_not_be_read_stops_with_its_name():
    with pytest.raises(BadSetting, match="NAME_FILE=/nowhere"):
        Environment({"NAME_FILE": "/nowhere"}).text("NAME")


def test_a_number_that_is_none_stops_with_what_is_allowed():
    with pytest.raises(BadSetting, match="THREADS=many: must be a whole number"):
        Environment({"THREADS": "many"}).number("THREADS", 8)


def test_a_word_that_is_none_of_those_allowed_stops_with_all_of_them():
    with pytest.raises(BadSetting, match="DOSETTE_LOG_LEVEL=inf: must be debug, info, warning or error"):
        Common.of(Environment({"DOSETTE_LOG_LEVEL": "inf"}))


def test_secrets_do_not_show_when_printed():
    assert "hush" not in repr(Environment({"DOSETTE_SECRET": "hush"}))
