import os
from pathlib import Path

import pytest

from qsv_eval.model_adapters.engine import probe_files as probe_module
from qsv_eval.model_adapters.engine.probe_files import FileProbe, probe_files
from qsv_eval.model_adapters.engine.request import GenerationSettings, ImageInMemory, Request
from qsv_eval.model_adapters.frames import FrameRule, content_id, probe_video


def make_request(*media):
    parts = [{"type": kind, kind: source} for kind, source in media]
    messages = [{"role": "user", "content": [*parts, {"type": "text", "text": "What?"}]}]
    return Request("task", 1, "test", 0, "q", messages, GenerationSettings(), FrameRule())


def probe(path, kind="video"):
    return probe_files([make_request((kind, str(path)))])[str(path)]


def test_a_video_is_named_and_measured(clips):
    result = probe(clips[0])
    assert result == FileProbe(content_id(clips[0]), probe_video(clips[0]))
    assert result.video.duration_s > 10
    assert result.fault == ""


def test_an_image_is_named(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"not looked at yet")
    assert probe(path, "image") == FileProbe(content_id(path))


def test_every_file_is_probed_once(clips, monkeypatch):
    probed = []

    def count(path):
        probed.append(path)
        return content_id(path)

    monkeypatch.setattr(probe_module, "content_id", count)
    paths = [str(clip) for clip in clips]
    pairs = [make_request(("video", path), ("video", paths[0])) for path in paths * 3]
    assert list(probe_files(pairs)) == paths
    assert sorted(probed) == sorted(paths)


def test_what_cannot_be_used_has_its_reason(tmp_path):
    (tmp_path / "empty.mp4").touch()
    os.mkfifo(tmp_path / "pipe.mp4")  # to open it would wait for ever
    for name, reason in [("gone.mp4", "missing"), ("empty.mp4", "empty"), ("pipe.mp4", "missing"), ("", "directory")]:
        result = probe(tmp_path / name)
        assert (result.content_id, result.video) == ("", None)
        assert reason in result.fault


def test_a_file_that_may_not_be_opened_has_its_reason(clips, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(probe_module, "content_id", refuse)
    assert "Permission denied" in probe(clips[0]).fault


def test_a_broken_video_has_a_name_and_no_length(tmp_path):
    path = tmp_path / "page.mp4"
    path.write_text("<html>404 Not Found</html>" * 100)
    assert probe(path) == FileProbe(content_id(path))


@pytest.mark.parametrize("error", [IndexError("list index out of range"), ValueError("[Errno 22] Invalid argument")])
def test_whatever_a_damaged_file_does_to_the_demuxer_the_run_goes_on(clips, monkeypatch, error):
    def fail(path):
        raise error

    monkeypatch.setattr(probe_module, "probe_video", fail)
    assert probe(clips[0]) == FileProbe(content_id(clips[0]))


def test_images_in_memory_have_no_file():
    assert probe_files([make_request(("image", ImageInMemory("0" * 64)))]) == {}
    assert probe_files([make_request()]) == probe_files([]) == {}


def test_a_file_with_two_paths_has_a_result_for_each(clips, tmp_path):
    link = tmp_path / "link.mp4"
    link.symlink_to(Path(clips[0]).resolve())
    result = probe_files([make_request(("video", str(clips[0]))), make_request(("video", str(link)))])
    assert result[str(link)] == result[str(clips[0])]
