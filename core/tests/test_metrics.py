"""What every process tells of itself."""

import re
from pathlib import Path

from dosette.metrics import ProportionalMemory, exposition


def _told(name: str) -> float:
    found = re.search(rf"^{name} (\S+)$", exposition()[0].decode(), re.MULTILINE)
    assert found, name
    return float(found[1])


def test_a_process_tells_what_it_holds_with_shared_pages_shared_out():
    assert 0 < _told("process_proportional_memory_bytes") <= _told("process_resident_memory_bytes")


def test_where_the_kernel_does_not_share_it_out_nothing_is_told_of_it(tmp_path: Path):
    assert list(ProportionalMemory(tmp_path / "smaps_rollup").collect()) == []
