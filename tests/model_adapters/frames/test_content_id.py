import os
import shutil

import pytest

from qsv_eval.model_adapters.errors import MediaError, MediaFault
from qsv_eval.model_adapters.frames import content_id

MIB = 1 << 20


def test_identity_survives_copying_and_renaming(tmp_path):
    original = tmp_path / "a.mp4"
    original.write_bytes(os.urandom(5 * MIB))
    copy = tmp_path / "elsewhere.bin"
    shutil.copyfile(original, copy)
    os.utime(copy, (0, 0))
    assert content_id(copy) == content_id(original)
    assert len(content_id(original)) == 64


@pytest.mark.parametrize("offset", [0, 2 * MIB + MIB // 2, 5 * MIB - 1])
def test_the_hash_covers_both_ends_and_the_middle(tmp_path, offset):
    path = tmp_path / "a.mp4"
    path.write_bytes(bytes(5 * MIB))
    before = content_id(path)
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(b"x")
    assert content_id(path) != before


@pytest.mark.parametrize("size", [1, MIB, 3 * MIB, 3 * MIB + 1, 9 * MIB])
def test_the_hash_covers_the_size(tmp_path, size):
    (tmp_path / "a").write_bytes(bytes(size))
    (tmp_path / "b").write_bytes(bytes(size + 1))
    assert content_id(tmp_path / "a") != content_id(tmp_path / "b")


def test_small_files_are_hashed_whole(tmp_path):
    path = tmp_path / "a"
    ids = set()
    for offset in range(0, 3 * MIB, MIB // 2):
        data = bytearray(3 * MIB)
        data[offset] = 1
        path.write_bytes(data)
        ids.add(content_id(path))
    assert len(ids) == 6


def test_nothing_has_no_identity(tmp_path):
    (tmp_path / "empty").touch()
    with pytest.raises(MediaError) as caught:
        content_id(tmp_path / "empty")
    assert caught.value.fault is MediaFault.EMPTY
