import json
from pathlib import Path

import pytest

from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.model_adapters.frames import FrameRule
from qsv_eval.training.data.media import MediaReader
from qsv_eval.training.data.mixture import MixtureEntry, open_mixture, read_entries
from qsv_eval.training.data.shards import ShardWriter

READER = MediaReader(FrameRule(), 48)


def lines(count, name):
    conversation = [{"from": "human", "value": "?"}, {"from": "gpt", "value": name}]
    return "".join(json.dumps({"uid": f"{name}{i}", "conversations": conversation}) + "\n" for i in range(count))


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "a.jsonl").write_text(lines(200, "a"))
    (tmp_path / "b.jsonl").write_text(lines(7, "b"))
    (tmp_path / "c.json").write_text(json.dumps([json.loads(line) for line in lines(3, "c").splitlines()]))
    for shard in range(2):
        with ShardWriter(tmp_path / "packed", first=shard) as writer:
            for line in lines(5, f"d{shard}").splitlines():
                writer.write(json.loads(line))
    return tmp_path


def uids(mixture):
    return [mixture.read(i).sample.uid for i in range(len(mixture))]


def test_negative_slices_are_refused(folder):
    """In YAML, -1 would drop the last sample; in the one-line form it means the end."""
    (folder / "mixture.yaml").write_text("sources:\n  - path: a.jsonl\n    slice: [0, -1]\n")
    with pytest.raises(SetupError, match=r"sources.0.slice.1.*greater than or equal to 0"):
        open_mixture(str(folder / "mixture.yaml"), READER)


def test_the_one_line_form(folder):
    """Slicing comes before repeating."""
    mixture = open_mixture(f"{folder}/a.jsonl#0_100*3;{folder}/b.jsonl", READER)
    ids = uids(mixture)
    assert len(ids) == 307
    assert ids.count("a99") == 3
    assert "a100" not in ids
    assert ids[-7:] == [f"b{i}" for i in range(7)]


def test_braces_and_an_open_end(folder):
    assert len(open_mixture(f"{folder}/{{a,b}}.jsonl#5_-1", READER)) == 195 + 2


def test_yaml_with_patterns_slices_and_weights(folder):
    (folder / "mix.yaml").write_text(
        "seed: 3\nsources:\n  - {path: packed/*.tar, slice: [2, 8]}\n"
        "  - {path: a.jsonl, weight: 1.5}\n  - path: c.json\n"
    )
    mixture = open_mixture(str(folder / "mix.yaml"), READER)
    ids = uids(mixture)
    assert ids[:6] == ["d02", "d03", "d04", "d10", "d11", "d12"]
    assert len(ids) == 6 + 300 + 3
    assert ids == uids(open_mixture(str(folder / "mix.yaml"), READER))
    assert [(part.entry_index, len(part.indices)) for part in mixture.parts] == [(0, 3), (0, 3), (1, 300), (2, 3)]


def test_modality_follows_from_the_samples(folder):
    (folder / "v.jsonl").write_text(lines(2, "v").replace('"uid"', '"video": "v.mp4", "uid"'))
    mixture = open_mixture(f"{folder}/v.jsonl;{folder}/b.jsonl", READER)
    assert [hint.modality for hint in mixture.hints()] == ["video"] * 2 + ["text"] * 7


def test_only_selected_samples_of_a_file_are_read_in_one_pass(folder, monkeypatch):
    (folder / "some.jsonl").write_text("no sample\n" * 3 + lines(4, "some") + "no sample\n" * 100)
    opened, opens = [], Path.open
    monkeypatch.setattr(Path, "open", lambda path, *mode: opened.append(path.name) or opens(path, *mode))
    mixture = open_mixture(f"{folder}/some.jsonl#2_7*3", READER)
    assert opened == ["some.jsonl"] * 2, "once to find the lines, and once to read them"
    errors = [hint.error for hint in mixture.hints()]
    assert len(errors) == 15
    assert "some.jsonl, line 3" in errors[0]
    assert errors[:3] == errors[:1] * 3
    assert not any(errors[3:])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is empty"),
        ("nowhere.jsonl", "nowhere.jsonl does not exist"),
        ("nowhere.yaml", "nowhere.yaml does not exist"),
        ("{folder}/a.jsonl*3#0_100", "not of the form"),
        ("{folder}/a.jsonl#300_400", "has 200 samples, so its slice 300 to 400 is empty"),
        ("{folder}/a.txt", "is not a .jsonl, .json or .tar file"),
    ],
)
def test_an_invalid_mixture_is_named(folder, text, says):
    (folder / "a.txt").write_text("")
    with pytest.raises(SetupError, match=says):
        open_mixture(text.format(folder=folder), READER)


@pytest.mark.parametrize(
    ("text", "says"), [("sources: []", "sources"), ("sources: [{path: a, wait: 1}]", "wait"), (": :", "YAML")]
)
def test_an_invalid_yaml_file_is_named(tmp_path, text, says):
    (tmp_path / "mix.yaml").write_text(text)
    with pytest.raises(SetupError, match=r"mix\.yaml.*" + says):
        read_entries(str(tmp_path / "mix.yaml"))


def test_an_entry_defaults_to_the_whole_file():
    assert MixtureEntry(path="a").slice == (0, None)
