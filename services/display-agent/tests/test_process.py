"""The whole agent as a process of its own, against a real Redis-compatible server."""

import json
import resource
import signal
import socket
import time
import urllib.request
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from dosette.bus import Bus, connect
from dosette.contracts.names import frame_key
from dosette.testing import a_dose, a_plan
from dosette_display import words
from dosette_local.ports import free_port
from dosette_local.servers.valkey import Valkey

MINUTE = timedelta(minutes=1)


def due_now(**facts):
    return a_dose(datetime.now(UTC) - MINUTE, **facts)


def test_a_hint_changes_the_frame_a_press_is_sent_and_its_acknowledgement_empties_the_journal(kitchen):
    kitchen.start()
    kitchen.eventually(kitchen.frame)
    before = kitchen.frame()

    kitchen.publish(dose := due_now())
    kitchen.eventually(lambda: kitchen.frame() != before, within_s=2)
    assert kitchen.frame() == (kitchen.folder / "panel.png").read_bytes()
    assert kitchen.press("take") == (0, "saved: take, 1 dose")

    kitchen.eventually(kitchen.presses, within_s=2)
    [press] = kitchen.presses()
    assert (press.kind, press.number, press.dose_ids, press.clock_synced) == ("take", 1, (dose.id,), True)
    kitchen.publish(replace(dose, status="taken", resolved_at=press.at), pressed=1)
    kitchen.eventually(kitchen.journal_is_empty, within_s=2)
    assert kitchen.press("take")[0] == 1


def test_a_dose_falls_due_on_the_screen_though_the_server_is_away(kitchen):
    clock_file = kitchen.folder / "clock"
    kitchen.publish(dose := a_dose(datetime.now(UTC) + timedelta(hours=5)))
    agent = kitchen.start()
    kitchen.eventually(lambda: (kitchen.folder / "plan.json").exists())
    agent.kill()
    agent.wait()

    kitchen.address = f"127.0.0.1:{free_port()}"
    kitchen.start(DOSETTE_CLOCK_FILE=str(clock_file))
    kitchen.press_until("nothing to take: no dose", "take")
    clock_file.write_text(str((dose.due_at - datetime.now(UTC)).total_seconds() + 1))

    kitchen.press_until("saved: take", "take")


def test_holding_take_undoes_the_press_before(kitchen):
    kitchen.publish(due_now())
    kitchen.start()
    kitchen.eventually(lambda: (kitchen.folder / "plan.json").exists())
    kitchen.press_until("saved: take", "take")

    kitchen.press_until("saved: undo, 1 dose", "take", "--hold", "2")

    kitchen.eventually(lambda: [press.kind for press in kitchen.presses()] == ["take", "undo"], within_s=2)


def test_skipping_asks_why_and_sends_the_reason(kitchen):
    kitchen.publish(due_now())
    kitchen.start()
    kitchen.press_until("no dose changed: why", "skip")
    time.sleep(0.5)  # a button bounces for 0.4 s, and the picture must stand

    assert kitchen.press("take") == (0, "saved: skip, 1 dose")

    kitchen.eventually(kitchen.presses)
    assert [(press.kind, press.reason) for press in kitchen.presses()] == [("skip", words.REASONS[0])]


def test_pressing_without_an_agent_says_so_in_one_sentence(kitchen):
    code, said = kitchen.press("take")

    assert code == 1
    assert said.count("\n") == 0
    assert "start `dosette-display run`" in said


def test_a_stale_socket_of_a_killed_agent_is_replaced(kitchen):
    kitchen.start().kill()
    kitchen.processes[0].wait()
    assert kitchen.press("take")[0] == 1

    kitchen.start()
    kitchen.press_until("nothing to take: there is no plan", "take")

    assert (kitchen.folder / "press.sock").stat().st_mode & 0o777 == 0o600


def test_the_doctor_finds_nothing_wrong_with_a_paired_panel_and_says_what_is_wrong_with_its_link(kitchen):
    kitchen.publish(due_now())
    kitchen.start()
    kitchen.eventually(lambda: (kitchen.folder / "plan.json").exists())

    assert kitchen.command("doctor")[0] == 0
    code, said = kitchen.command("doctor", DOSETTE_DEVICE_REDIS=f"127.0.0.1:{free_port()}")

    assert code == 1
    assert "✗ link" in said
    assert "Is the server on" in said


def test_systemd_hears_from_the_agent_itself_that_it_is_up_and_that_it_stops(kitchen, tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(10)
        agent = kitchen.start(NOTIFY_SOCKET=str(tmp_path / "notify"))

        assert manager.recv(200).startswith(b"READY=1")
        agent.terminate()
        while (said := manager.recv(200)) == b"WATCHDOG=1":
            pass

    assert said == b"STOPPING=1"
    assert agent.wait(5) == 0


NOT_IN_AN_AGENT = {
    *("redis", "asyncio", "lgpio", "inky", "epaper", "numpy", "psycopg2", "segno", "prometheus_client"),
    *("ssl", "http.client", "http.server", "urllib.request", "html", "xml", "wsgiref", "multiprocessing"),
    *("dosette_display.pairing", "dosette_display.demo", "dosette_display.doctor"),
}
MODULES = 320
"""There are 299 on Python 3.11. Each takes its part of the 30 MB that are promised."""


def test_an_agent_at_work_holds_nothing_of_what_only_others_need(kitchen):
    port = free_port()
    kitchen.publish(due_now())

    kitchen.start(PYTHONPROFILEIMPORTTIME="1", DOSETTE_METRICS_BIND=f"127.0.0.1:{port}")
    kitchen.press_until("saved: take", "take")
    kitchen.eventually(kitchen.presses)
    kitchen.eventually(kitchen.frame)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        assert b"dosette_panel_presses_total" in answer.read()

    imported = {line.split("|")[-1].strip() for line in kitchen.log().splitlines() if line.startswith("import time:")}
    assert {"dosette_display.agent", "PIL.Image", "gpiozero"} <= imported
    assert sorted(imported & NOT_IN_AN_AGENT) == []
    assert len(imported) < MODULES


def test_two_agents_do_not_share_a_folder(kitchen):
    kitchen.start()

    second = kitchen.start()

    assert second.wait(5) == 1
    assert "another display agent runs here" in kitchen.log()


@pytest.mark.parametrize("point", ["P1:kill", "P2:kill", "P2:kill:2", "P3:kill", "P4:kill", "P5:kill", "P6:kill:3"])
def test_an_agent_killed_at_any_step_loses_no_saved_press_and_sends_none_twice_with_two_ids(kitchen, point):
    kitchen.publish(dose := due_now())
    agent = kitchen.start(FAULT=point)
    kitchen.eventually(lambda: (kitchen.folder / "plan.json").exists() and kitchen.frame())
    time.sleep(0.3)

    _, said = kitchen.press("take")
    kitchen.publish(dose, pressed=0)
    if point.startswith("P5"):
        kitchen.eventually(kitchen.presses)
        kitchen.publish(replace(dose, status="taken", resolved_at=kitchen.presses()[0].at), pressed=1)
    assert agent.wait(10) == -signal.SIGKILL
    was_sent = kitchen.presses()
    kitchen.start()

    promised = said.startswith("saved") or point in ("P2:kill:2", "P3:kill", "P4:kill", "P5:kill", "P6:kill:3")
    if promised and not point.startswith("P5"):
        kitchen.eventually(kitchen.presses)
    assert len(kitchen.presses()) <= 1
    assert {press.id for press in was_sent} <= {press.id for press in kitchen.presses()}
    if point.startswith("P5"):
        kitchen.eventually(kitchen.journal_is_empty)


def test_a_wiped_redis_gets_the_presses_and_the_frame_again(kitchen, redis):
    kitchen.publish(due_now())
    kitchen.start()
    kitchen.eventually(lambda: (kitchen.folder / "plan.json").exists())
    kitchen.press_until("saved: take", "take")
    kitchen.eventually(kitchen.presses)

    redis.flushall()

    kitchen.eventually(kitchen.presses, within_s=10)


def test_a_redis_that_was_away_hears_everything_within_ten_seconds(kitchen, tmp_path):
    with Valkey(tmp_path / "own", port=free_port(), password="own") as own:
        kitchen.address = f"127.0.0.1:{own.port}"
        client = connect(own.url)
        kitchen.bus = Bus(client)
        kitchen.admit()
        kitchen.publish(due_now())
        kitchen.start()
        kitchen.eventually(lambda: (kitchen.folder / "plan.json").exists())
        kitchen.eventually(kitchen.frame)

        own.kill()
        kitchen.eventually(lambda: "the link is down" in kitchen.log())
        assert kitchen.press("take")[0] == 0
        own.start()
        client.flushall()
        kitchen.admit()

        kitchen.eventually(lambda: kitchen.presses() and kitchen.frame(), within_s=10)
        client.close()


def test_a_panel_that_was_revoked_while_it_was_off_says_that_it_is_not_let_in(kitchen, sealed):
    device_id = json.loads((kitchen.folder / "device.json").read_text())["device_id"]
    (kitchen.folder / "plan.json").write_bytes(sealed(a_plan(issued_at=datetime.now(UTC) - timedelta(days=8))))
    kitchen.bus.expel_device(device_id)
    kitchen.start()
    picture = kitchen.folder / "panel.png"
    kitchen.eventually(picture.exists)
    before = picture.read_bytes()
    assert kitchen.press("take")[1].endswith("the screen says NOT UP TO DATE")

    kitchen.eventually(lambda: picture.read_bytes() != before, within_s=60)

    assert kitchen.press("take")[1].endswith("the screen says NOT ADMITTED")


def test_a_moved_clock_moves_the_screen_and_the_press(kitchen):
    clock_file = kitchen.folder / "clock"
    kitchen.publish(dose := a_dose(datetime.now(UTC) + timedelta(hours=5)))
    kitchen.start(DOSETTE_CLOCK_FILE=str(clock_file))
    kitchen.eventually(lambda: (kitchen.folder / "plan.json").exists())
    kitchen.press_until("nothing to take: no dose", "take")
    before = kitchen.frame()

    clock_file.write_text(str(timedelta(hours=5).total_seconds() + 1))

    kitchen.eventually(lambda: kitchen.frame() != before, within_s=2)
    kitchen.press_until("saved: take", "take")
    kitchen.eventually(kitchen.presses)
    assert kitchen.presses()[0].at >= dose.due_at


def test_a_folder_that_cannot_be_written_still_shows_the_plan(kitchen, redis):
    kitchen.publish(due_now())
    kitchen.start().kill()
    kitchen.processes[0].wait()
    (kitchen.folder / "press.sock").unlink(missing_ok=True)
    (kitchen.folder / "press.sock").mkdir()
    redis.delete(frame_key("01980000-0000-7000-8000-000000000001"))

    kitchen.start()

    kitchen.eventually(kitchen.frame)
    assert "there is no socket" in kitchen.log()


def test_a_restart_goes_on_counting_presses(kitchen):
    kitchen.publish(dose := due_now())
    kitchen.start()
    kitchen.eventually(lambda: (kitchen.folder / "plan.json").exists())
    kitchen.press_until("saved: take", "take")
    kitchen.publish(replace(dose, status="taken", resolved_at=datetime.now(UTC)), due_now(), pressed=1)
    kitchen.eventually(kitchen.journal_is_empty)
    kitchen.processes[0].kill()
    kitchen.processes[0].wait()
    for entry in kitchen.bus.presses(["01980000-0000-7000-8000-000000000001"], 0.01):
        kitchen.bus.forget_press("01980000-0000-7000-8000-000000000001", entry.id)

    kitchen.start()
    kitchen.press_until("saved: take", "take")

    kitchen.eventually(lambda: [press.number for press in kitchen.presses()] == [2])


def test_it_stops_when_told_and_says_so(kitchen):
    agent = kitchen.start()

    agent.terminate()

    assert agent.wait(5) == 0
    assert json.loads(kitchen.log().splitlines()[-1])["event"] == "stopped"


def test_health_and_metrics_are_served(kitchen):
    port = free_port()
    kitchen.start(DOSETTE_METRICS_BIND=f"127.0.0.1:{port}")

    def asked(path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}") as answer:
            text: str = answer.read().decode()
            return text

    kitchen.eventually(lambda: kitchen.frame())
    assert asked("/health") == '{"status": "ok"}'
    assert 'dosette_panel_refreshes_total{mode="full"} 1.0' in asked("/metrics")
    kitchen.eventually(lambda: "dosette_panel_link_up 1.0" in asked("/metrics"))


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"DOSETTE_PANEL": "hologram"}, "DOSETTE_PANEL=hologram"),
        ({"DOSETTE_DEVICE_DIR": ""}, "DOSETTE_DEVICE_DIR is not set"),
        ({"DOSETTE_DEVICE_REDIS": "nonsense"}, "DOSETTE_DEVICE_REDIS=nonsense"),
    ],
)
def test_a_bad_setting_stops_it_with_the_variables_name(kitchen, environ, said):
    assert kitchen.start(**environ).wait(5) == 1
    assert said in kitchen.log()


def test_an_agent_that_is_not_paired_waits_until_it_is(kitchen):
    paired, put_aside = kitchen.folder / "device.json", kitchen.folder / "device.aside"
    paired.rename(put_aside)
    agent = kitchen.start_unpaired(DOSETTE_METRICS_BIND=f"127.0.0.1:{free_port()}")
    kitchen.eventually(lambda: "pair this device" in kitchen.log())

    put_aside.rename(paired)

    kitchen.eventually(lambda: '"started"' in kitchen.log())
    assert agent.poll() is None


def test_an_agent_that_waits_to_be_paired_has_no_link_that_could_be_down(kitchen):
    (kitchen.folder / "device.json").unlink()
    port = free_port()
    kitchen.start_unpaired(DOSETTE_METRICS_BIND=f"127.0.0.1:{port}")
    kitchen.eventually(lambda: "pair this device" in kitchen.log())

    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        told = answer.read().decode()

    assert "process_start_time_seconds" in told
    assert "\ndosette_panel_link_up " not in told


def test_a_button_may_be_on_any_pin_that_is_free(kitchen):
    kitchen.publish(due_now())
    kitchen.start(DOSETTE_BUTTONS="take=5,snooze=0,skip=6")
    kitchen.eventually(kitchen.frame)

    kitchen.press_until("saved: snooze", "snooze")


def test_an_agent_that_waits_to_be_paired_stops_when_told(kitchen):
    (kitchen.folder / "device.json").unlink()
    agent = kitchen.start_unpaired()
    kitchen.eventually(lambda: "pair this device" in kitchen.log())

    agent.terminate()

    assert agent.wait(5) == 0


def test_on_a_full_card_a_press_is_said_not_to_be_saved_and_is_saved_once_there_is_room(kitchen):
    kitchen.publish(due_now())
    agent = kitchen.start()
    kitchen.eventually(lambda: (kitchen.folder / "plan.json").exists())
    kitchen.eventually(kitchen.frame)
    time.sleep(0.5)

    resource.prlimit(agent.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    refused = kitchen.press("take")
    resource.prlimit(agent.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    kitchen.press_until("saved: take, 1 dose", "take")

    assert (refused[0], refused[1].startswith("not saved: ")) == (1, True)
    assert agent.poll() is None
