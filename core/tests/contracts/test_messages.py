"""Plans, presses, jobs and device files survive their own JSON, and refuse another version's."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from dosette.contracts.device_file import DeviceFile
from dosette.contracts.job import DeliveryJob
from dosette.contracts.plan import NewKeys, Plan, UnknownVersion
from dosette.contracts.press import Press
from dosette.testing import a_dose, a_plan, a_press

A_FILE = DeviceFile("id", "http://server", "redis:6379", "user", "password", "ab" * 32)


def test_a_press_is_the_same_after_its_journey():
    press = a_press("device", "one", "two")

    assert Press.from_json(press.to_json()) == press


def test_a_reason_travels_with_its_press_and_one_without_is_as_it_always_was():
    press = replace(a_press("device", "one", kind="skip"), reason="felt unwell")

    assert Press.from_json(press.to_json()) == press
    assert b"reason" not in a_press("device", "one").to_json()


def test_what_a_newer_device_adds_to_a_press_does_no_harm():
    press = a_press("device", "one")
    raw = json.loads(press.to_json()) | {"mood": "cheerful"}

    assert Press.from_json(json.dumps(raw).encode()) == press


def test_a_reason_that_is_a_novel_is_refused():
    press = replace(a_press("device", "one", kind="skip"), reason="because " * 99)

    with pytest.raises(ValueError, match="200 letters"):
        Press.from_json(press.to_json())


def test_a_plan_of_a_server_that_is_one_version_older_is_read():
    plan = a_plan(a_dose())
    raw = {"v": 1} | json.loads(json.dumps(asdict(plan), default=str))
    for name in ("low", "conflicts", "alarms", "stuck_since"):
        del raw[name]
    for name in ("snoozed_until", "claimed_by"):
        del raw["doses"][0][name]

    assert Plan.from_json(json.dumps(raw).encode()) == plan


def test_what_a_newer_server_adds_to_a_plan_does_no_harm():
    plan = replace(a_plan(a_dose()), keys=NewKeys(2, "ab", "cd"))
    raw = {"v": 1} | json.loads(json.dumps(asdict(plan), default=str))
    for each in (raw, raw["doses"][0], raw["keys"]):
        each["mood"] = "cheerful"

    assert Plan.from_json(json.dumps(raw).encode()) == plan


def test_a_press_of_an_unknown_kind_is_refused_by_name():
    raw = json.loads(a_press("device").to_json()) | {"kind": "throw away"}

    with pytest.raises(ValueError, match="throw away"):
        Press.from_json(json.dumps(raw).encode())


def test_a_press_that_lacks_a_field_is_refused():
    raw = json.loads(a_press("device").to_json())
    del raw["at"]

    with pytest.raises(ValueError, match="at"):
        Press.from_json(json.dumps(raw).encode())


@pytest.mark.parametrize("kind", [Plan, Press])
def test_another_version_is_refused(kind: type[Plan] | type[Press]):
    with pytest.raises(UnknownVersion):
        kind.from_json(b'{"v": 99}')


def test_a_job_carries_ids_and_nothing_else():
    assert DeliveryJob(("a", "b")).payload() == {"v": 2, "delivery_ids": ["a", "b"]}


@pytest.mark.parametrize(
    "payload",
    [{}, {"v": 2}, {"v": 3, "delivery_ids": []}, {"v": 2, "delivery_ids": "abc"}, {"v": 1, "reminder_ids": []}],
)
def test_a_job_of_another_shape_is_refused(payload: dict[str, object]):
    with pytest.raises(ValueError, match="not a delivery job"):
        DeliveryJob.of(payload)


def test_a_device_file_is_for_its_owner_only(tmp_path: Path):
    path = tmp_path / "device.json"

    A_FILE.write(path)

    assert path.stat().st_mode & 0o777 == 0o600
    assert DeviceFile.read(path) == A_FILE


def test_a_device_file_of_a_newer_program_is_read_so_that_there_is_a_way_back():
    raw = json.loads(A_FILE.to_json()) | {"colour": "red"}

    assert DeviceFile.from_json(json.dumps(raw).encode()) == A_FILE


def test_a_damaged_device_file_says_what_to_do(tmp_path: Path):
    path = tmp_path / "device.json"
    path.write_text('{"v": 1, "device_id": "x"}')

    with pytest.raises(ValueError, match="pair the device again"):
        DeviceFile.read(path)
