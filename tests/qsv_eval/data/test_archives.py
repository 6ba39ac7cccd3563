"""Unpacking: complete, resumable, and never outside of the folder."""

import io
import tarfile
import zipfile

import pytest

from qsv_eval.data.archives import find_archives, unpack
from qsv_eval.model_adapters.errors import SetupError


def zip_of(path, files):
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def tar_of(files, mode="w"):
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode=mode) as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return content.getvalue()


def test_archives_are_found_and_parts_are_one(tmp_path):
    zip_of(tmp_path / "a/b.zip", {"x": "1"})
    (tmp_path / "c.tar.gz").write_bytes(tar_of({"x": b"1"}, "w:gz"))
    for part in ("ab", "aa"):
        (tmp_path / f"d.tar.part-{part}").write_bytes(b"")
    (tmp_path / "clip.mp4").write_bytes(b"")
    archives = find_archives(tmp_path)
    assert [archive.name for archive in archives] == ["a/b.zip", "c.tar.gz", "d.tar"]
    assert [file.name for file in archives[2].files] == ["d.tar.part-aa", "d.tar.part-ab"]


def test_what_stands_there_whole_is_not_written_again(tmp_path):
    zip_of(tmp_path / "in/a.zip", {"data/1.mp4": b"one" * 100, "data/2.mp4": b"two" * 100})
    [archive] = find_archives(tmp_path / "in")
    assert unpack(archive, tmp_path / "out") == 2
    (tmp_path / "out/data/1.mp4").write_bytes(b"torn")
    before = (tmp_path / "out/data/2.mp4").stat().st_mtime_ns
    assert unpack(archive, tmp_path / "out") == 1
    assert (tmp_path / "out/data/1.mp4").read_bytes() == b"one" * 100
    assert (tmp_path / "out/data/2.mp4").stat().st_mtime_ns == before
    assert unpack(archive, tmp_path / "out") == 0


def test_a_tar_in_parts(tmp_path):
    content = tar_of({"videos/1.mp4": bytes(range(256)) * 100, "videos/2.mp4": b"two"}, "w:gz")
    for number in range(3):
        size = len(content) // 3 + 1
        (tmp_path / f"v.tar.gz.part-a{number}").write_bytes(content[number * size : (number + 1) * size])
    [archive] = find_archives(tmp_path)
    assert unpack(archive, tmp_path / "out") == 2
    assert (tmp_path / "out/videos/1.mp4").read_bytes() == bytes(range(256)) * 100


@pytest.mark.parametrize("name", ["../evil.txt", "a/../../evil.txt", "/etc/evil.txt"])
def test_nothing_is_written_outside(tmp_path, name):
    zip_of(tmp_path / "in/a.zip", {name: "x"})
    (tmp_path / "in/b.tar").write_bytes(tar_of({name: b"x"}))
    for archive in find_archives(tmp_path / "in"):
        with pytest.raises(SetupError, match=r"evil.txt is outside of .*out, so it is not unpacked"):
            unpack(archive, tmp_path / "out")
    assert list(tmp_path.rglob("evil.txt")) == []


def test_links_in_a_tar_are_refused(tmp_path):
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    (tmp_path / "a.tar").write_bytes(content.getvalue())
    with pytest.raises(SetupError, match="link is a link or a device, which is not unpacked"):
        unpack(find_archives(tmp_path)[0], tmp_path / "out")


def test_damage_is_named(tmp_path):
    path = zip_of(tmp_path / "in/a.zip", {"1.mp4": bytes(range(256)) * 200})
    content = bytearray(path.read_bytes())
    content[60] ^= 255
    path.write_bytes(content)
    with pytest.raises(SetupError, match=r"a.zip: cannot be unpacked .* Download it again"):
        unpack(find_archives(tmp_path / "in")[0], tmp_path / "out")
    assert not (tmp_path / "out/1.mp4").exists()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(SetupError, match="cannot be unpacked"):
        unpack(find_archives(tmp_path / "in")[0], tmp_path / "out")
