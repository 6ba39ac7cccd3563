import os
import shutil

import pytest

from qsv_eval.model_adapters.engine.fingerprint import checkpoint_fingerprint
from qsv_eval.model_adapters.errors import SetupError


def test_fingerprint_follows_the_files_not_the_place(tiny, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(tiny, copy)
    assert checkpoint_fingerprint(str(copy)) == checkpoint_fingerprint(str(tiny))
    (copy / "results.json").write_text("{}")
    assert checkpoint_fingerprint(str(copy)) == checkpoint_fingerprint(str(tiny))
    weights = copy / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    assert checkpoint_fingerprint(str(copy)) != checkpoint_fingerprint(str(tiny))


def test_fingerprint_of_an_adapter_includes_its_base(tiny, tmp_path):
    bases = [tmp_path / "one", tmp_path / "two"]
    for base in bases:
        shutil.copytree(tiny, base)
    (bases[1] / "tokenizer_config.json").write_text("{}")
    prints = []
    for base in bases:
        adapter = tmp_path / "adapter"
        adapter.mkdir(exist_ok=True)
        (adapter / "adapter_config.json").write_text(f'{{"base_model_name_or_path": "{base}"}}')
        prints.append(checkpoint_fingerprint(str(adapter)))
    assert prints[0] != prints[1]


def test_fingerprint_of_no_checkpoint():
    with pytest.raises((SetupError, OSError)):
        checkpoint_fingerprint("nobody/nothing")


def test_a_change_anywhere_in_a_large_file_counts_and_each_state_is_hashed_once(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    weights = folder / "model.safetensors"
    content = bytearray(70 << 20)
    weights.write_bytes(content)
    first = checkpoint_fingerprint(str(folder))
    assert checkpoint_fingerprint(str(folder)) == first
    assert capsys.readouterr().err.count("Hashing model.safetensors") == 1
    content[20 << 20] = 1  # neither at the ends nor in the middle
    weights.write_bytes(content)
    os.utime(weights, ns=(1, 1))
    assert checkpoint_fingerprint(str(folder)) != first
    (folder / "tokenizers").mkdir()
    checkpoint_fingerprint(str(folder))
