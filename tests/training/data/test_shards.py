import io
import pickle
import tarfile

import numpy as np
import pytest
from PIL import Image

from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.training.data.shards import Shard, ShardWriter, jpeg


@pytest.fixture
def shard(tmp_path):
    with ShardWriter(tmp_path) as writer:
        writer.write({"uid": "a"}, [b"one", b"two"])
        writer.write({"uid": "ü"})
        writer.write({"uid": "c"}, [b"three"])
    return tmp_path / "shard-000000.tar"


def test_samples_come_back_in_any_order(shard):
    opened = Shard(shard)
    assert len(opened) == 3
    assert opened.read(2) == (b'{"uid": "c"}', [b"three"])
    assert opened.read(0).pictures == [b"one", b"two"]
    assert opened.line(1) == '{"uid": "ü"}'.encode()
    assert [opened.pictures(i) for i in range(3)] == [2, 0, 1]


def test_the_layout_is_webdatasets(shard):
    with tarfile.open(shard) as tar:
        names = tar.getnames()
    assert names == [
        "000000.json",
        "000000.0000.jpg",
        "000000.0001.jpg",
        "000001.json",
        "000002.json",
        "000002.0000.jpg",
    ]


def test_a_pickled_shard_opens_its_file_again(shard):
    opened = Shard(shard)
    opened.read(0)
    assert pickle.loads(pickle.dumps(opened)).read(2).pictures == [b"three"]


def test_a_new_shard_begins_when_one_is_full(tmp_path):
    with ShardWriter(tmp_path, shard_bytes=4096) as writer:
        for _ in range(10):
            writer.write({}, [b"x" * 1000])
    assert len(sorted(tmp_path.glob("*.tar"))) > 3
    assert sum(len(Shard(path)) for path in tmp_path.glob("*.tar")) == 10


def test_an_interrupted_write_leaves_no_shard(tmp_path):
    def interrupted():
        with ShardWriter(tmp_path) as writer:
            writer.write({})
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        interrupted()
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_not_a_shard(tmp_path):
    path = tmp_path / "a.tar"
    path.write_bytes(b"not a tar" * 100)
    with pytest.raises(SetupError, match=r"a\.tar: not a complete tar file"):
        Shard(path)


def test_a_picture_before_its_json_is_refused(tmp_path):
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as tar:
        tar.addfile(tarfile.TarInfo("000000.0000.jpg"), io.BytesIO())
    with pytest.raises(SetupError, match=r"does not follow 000000\.json"):
        Shard(path)


def test_jpeg_keeps_colours():
    frame = np.zeros((48, 48, 3), np.uint8)
    frame[:24] = (225, 30, 30)
    read = np.asarray(Image.open(io.BytesIO(jpeg(frame))))
    assert np.abs(read.astype(int) - frame).mean() < 3
