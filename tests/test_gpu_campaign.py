"""The campaign of benchmarks/gpu.py, as far as it runs without a GPU, with a tiny model."""

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
    found = {}
    for row in json.loads(output.read_text())["rows"]:
        found.setdefault(row["section"], []).append(row)
    return found


def test_every_section_has_rows_and_none_failed(rows):
    expected = {"build", "stages", "memory", "attention", "precision", "device_map", "bits", "out_of_memory"}
    assert rows.keys() == expected
    assert not [row for section in rows.values() for row in section if row["what"] == "failed"]


def test_stages_are_timed(rows):
    assert len(rows["stages"]) == 6
    assert all(float(row["measured"].split()[0]) >= 0 for row in rows["stages"])
    assert float(rows["stages"][0]["measured"].split()[0]) > 0


def test_places_change_no_reply(rows):
    assert all(row["measured"] == "reply and cubes equal: True" for row in rows["device_map"])


def test_bfloat16_is_near_float32(rows):
    assert all(float(row["measured"].split()[0]) < 0.1 for row in rows["precision"])


def test_what_needs_a_gpu_says_so(rows):
    assert rows["memory"][0]["measured"] == rows["out_of_memory"][0]["measured"] == "needs CUDA"


def test_wrong_words_are_refused():
    done = campaign("--device", "cpu", "--size", "tiny", "--only", "speed")
    assert done.returncode == 2
    assert "--only: speed is unknown" in done.stderr
