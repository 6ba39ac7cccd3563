"""benchmarks/gpu.py with a tiny model on the CPU."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "gpu.py"


def campaign(*words):
    return subprocess.run([sys.executable, SCRIPT, *words], capture_output=True, text=True, check=False, timeout=300)


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    output = tmp_path_factory.mktemp("campaign") / "gpu.json"
    done = campaign("--device", "cpu", "--size", "tiny", "--output", str(output))
    assert done.returncode == 0, done.stderr
    assert "| section | what | measured | by arithmetic |" in done.stdout
    sections = {}
    for row in json.loads(output.read_text())["rows"]:
        sections.setdefault(row["section"], []).append(row)
    return sections


def test_every_section_has_rows_and_none_failed(rows):
    expected = {"build", "stages", "memory", "attention", "precision", "device_map", "bits", "out_of_memory"}
    assert rows.keys() == expected
    assert not [row for section in rows.values() for row in section if row["what"] == "failed"]


def test_stages_are_timed(rows):
    assert len(rows["stages"]) == 6
    assert all(float(row["measured"].split()[0]) >= 0 for row in rows["stages"])
    assert float(rows["stages"][0]["measured"].split()[0]) > 0


def test_device_maps_do_not_change_the_reply(rows):
    assert all(row["measured"] == "reply and cubes equal: True" for row in rows["device_map"])


def test_bfloat16_is_close_to_float32(rows):
    assert all(float(row["measured"].split()[0]) < 0.1 for row in rows["precision"])


def test_sections_that_need_a_gpu_say_so(rows):
    assert rows["memory"][0]["measured"] == rows["out_of_memory"][0]["measured"] == "needs CUDA"


def test_an_unknown_section_is_refused():
    done = campaign("--device", "cpu", "--size", "tiny", "--only", "speed")
    assert done.returncode == 2
    assert "--only: speed is unknown" in done.stderr
