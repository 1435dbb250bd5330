"""Which plans are believed, and that the one in use survives."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from dosette.contracts.plan import PlannedConflict
from dosette.contracts.signing import seal
from dosette.testing import NOON, a_dose, a_plan
from dosette_display.plan_store import PlanStore

PLAN = a_plan(a_dose())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "plan.json"


@pytest.fixture
def store(path: Path, key: str) -> PlanStore:
    return PlanStore(path, PLAN.device_id, key)


def test_a_signed_plan_is_there_after_a_restart(store, path, key, sealed):
    assert store.accept(sealed(PLAN))

    assert PlanStore(path, PLAN.device_id, key).plan == PLAN


def test_a_plan_with_a_bad_signature_is_refused_and_the_old_one_is_kept(store, sealed, caplog):
    store.accept(sealed(PLAN))
    forged = sealed(replace(PLAN, number=2), key="00" * 32)

    assert not store.accept(forged)
    assert not store.accept(forged)

    assert store.plan == PLAN
    assert caplog.text.count("a plan was refused") == 1


def test_a_plan_that_was_changed_on_the_card_is_not_believed_at_the_start(store, path, key, sealed, caplog):
    store.accept(sealed(PLAN))
    path.write_bytes(path.read_bytes().replace(b"500 mg", b"900 mg"))

    assert PlanStore(path, PLAN.device_id, key).plan is None
    assert "a plan was refused" in caplog.text


def test_a_plan_that_comes_late_or_twice_is_ignored(store, sealed):
    store.accept(sealed(replace(PLAN, number=5)))

    assert not store.accept(sealed(replace(PLAN, number=4)))
    assert not store.accept(sealed(replace(PLAN, number=5)))
    assert store.plan.number == 5


def test_a_message_that_lies_there_is_read_once(store, sealed, monkeypatch: pytest.MonkeyPatch):
    assert store.accept(sealed(PLAN))
    monkeypatch.setattr("dosette_display.plan_store.unseal", lambda *_: pytest.fail("it was read again"))

    assert not store.accept(sealed(PLAN))


def test_a_message_that_lies_there_is_read_again_with_new_keys(store, sealed):
    newer = sealed(PLAN, key="11" * 32)
    assert not store.accept(newer)

    store.use_keys("11" * 32)

    assert store.accept(newer)


def test_a_restored_server_counts_anew_in_another_epoch(store, sealed):
    store.accept(sealed(replace(PLAN, number=5)))
    old, new = NOON - timedelta(days=1), NOON + timedelta(minutes=1)

    assert not store.accept(sealed(replace(PLAN, number=1, epoch="replayed", issued_at=old)))
    assert store.accept(sealed(replace(PLAN, number=1, epoch="restored", issued_at=new)))


def test_another_devices_plan_is_refused(store, sealed):
    assert not store.accept(sealed(replace(PLAN, device_id="another")))


def test_a_plan_of_a_zone_that_this_machine_does_not_know_is_refused(store, sealed):
    assert not store.accept(sealed(replace(PLAN, zone="Europe/Atlantis")))


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"null", b"\xff", json.dumps({"v": 2}).encode(), b'{"v": 1}'])
def test_a_signed_message_that_is_no_plan_is_refused(store, key, body):
    assert not store.accept(seal(body, key))


@pytest.mark.parametrize("message", [b"", b"x", b"\xff" * 80])
def test_a_message_that_is_not_even_sealed_is_refused(store, message):
    assert not store.accept(message)


def test_a_plan_that_says_nothing_new_is_written_once_in_a_while(store, path, sealed):
    store.accept(sealed(PLAN))
    first = path.read_bytes()

    store.accept(sealed(replace(PLAN, number=2, issued_at=NOON + timedelta(minutes=1))))
    assert path.read_bytes() == first
    store.accept(sealed(replace(PLAN, number=3, issued_at=NOON + timedelta(minutes=16))))
    assert path.read_bytes() != first


def test_a_possible_double_dose_is_on_the_card_at_once(store, path, sealed):
    doubt = PlannedConflict("id", "Ana", "Metformin", "500 mg", "take", NOON, "taken", NOON)
    store.accept(sealed(PLAN))
    first = path.read_bytes()

    store.accept(sealed(replace(PLAN, number=2, issued_at=NOON + timedelta(minutes=1), conflicts=(doubt,))))

    assert path.read_bytes() != first


def test_a_plan_that_cannot_be_stored_is_used_all_the_same(store, path, sealed, caplog):
    path.mkdir()

    assert store.accept(sealed(PLAN))

    assert store.plan == PLAN
    assert not store.is_stored(PLAN)
    assert "could not be stored" in caplog.text


def test_a_power_cut_at_any_byte_of_a_new_plan_leaves_the_old_one(store, path, key, sealed):
    store.accept(sealed(PLAN))
    newer = sealed(replace(PLAN, number=2, pressed=1))

    for cut in range(0, len(newer) + 1, 7):
        path.with_name("plan.json.new").write_bytes(newer[:cut])
        assert PlanStore(path, PLAN.device_id, key).plan == PLAN


def test_a_plan_that_is_not_believed_is_counted_once_and_one_on_the_card_not_at_all(store, path, key, sealed):
    store.accept(sealed(PLAN))
    forged = sealed(replace(PLAN, number=2), key="00" * 32)
    for _ in range(3):
        store.accept(forged)
    assert store.refused == 1

    path.write_bytes(forged)

    assert PlanStore(path, PLAN.device_id, key).refused == 0


def test_there_are_doubts_until_a_message_is_believed_be_it_an_old_one(store, sealed):
    store.accept(sealed(PLAN))
    assert not store.doubts

    store.accept(sealed(replace(PLAN, number=2), key="00" * 32))
    assert store.doubts
    store.accept(sealed(PLAN))
    assert not store.doubts


def test_a_plan_may_be_signed_with_the_key_before(path, key, sealed):
    store = PlanStore(path, PLAN.device_id, "11" * 32, key)

    assert store.accept(sealed(PLAN))

    assert store.signed_with == key
    store.use_keys("11" * 32)
    assert not store.accept(sealed(replace(PLAN, number=2)))
