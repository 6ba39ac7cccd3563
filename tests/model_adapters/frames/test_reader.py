import gc
import multiprocessing
import pickle
import resource
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition

from qsv_eval.model_adapters.errors import MediaError, MediaFault, SetupError
from qsv_eval.model_adapters.frames import FrameRule, read_video

SIZE = (96, 160)
RULE = FrameRule()


def fault_of(path, **arguments) -> MediaFault:
    with pytest.raises(MediaError) as caught:
        read_video(path, RULE, SIZE, **arguments)
    assert str(path) in str(caught.value)
    return caught.value.fault


def test_missing_empty_garbage(tmp_path):
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "garbage.mp4").write_bytes(np.random.default_rng(0).bytes(50_000))
    (tmp_path / "page.mp4").write_text("<html>404 Not Found</html>")
    assert fault_of(tmp_path / "nowhere.mp4") is MediaFault.MISSING
    assert fault_of(tmp_path) is MediaFault.MISSING
    assert fault_of(tmp_path / "empty.mp4") is MediaFault.EMPTY
    assert fault_of(tmp_path / "garbage.mp4") is MediaFault.UNDECODABLE
    assert fault_of(tmp_path / "page.mp4") is MediaFault.UNDECODABLE


def test_mp4_without_index(plain_video, tmp_path):
    path = tmp_path / "interrupted.mp4"
    path.write_bytes(plain_video.read_bytes()[:-20_000])
    assert fault_of(path) is MediaFault.TRUNCATED


@pytest.mark.parametrize("with_cover", [False, True])
def test_sound_without_video(tmp_path, with_cover):
    path = tmp_path / "sound.m4a"
    with av.open(path, "w", format="mp4") as container:
        sound = container.add_stream("aac", rate=16000)
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), dtype=np.float32), format="fltp", layout="mono")
        silence.rate = 16000
        if with_cover:
            cover = container.add_stream("mjpeg", rate=1)
            cover.height, cover.width, cover.pix_fmt = 64, 64, "yuvj420p"
            cover.disposition = Disposition.attached_pic.value
            container.mux(cover.encode(av.VideoFrame(64, 64, "yuvj420p")))
            container.mux(cover.encode())
        container.mux(sound.encode(silence))
        container.mux(sound.encode())
    assert fault_of(path) is MediaFault.NO_VIDEO


@pytest.mark.parametrize("name", ["cut.mp4", "cut.mkv", "cut.webm"])
def test_truncated_gives_what_exists_and_says_so(make_video, tmp_path, read_number, name):
    whole = make_video(
        f"whole_{name}",
        codec="libvpx-vp9" if name.endswith("webm") else "libx264",
        options={"g": "40"},
        container_options={"movflags": "faststart"} if name.endswith("mp4") else {},
    )
    path = tmp_path / name
    path.write_bytes(whole.read_bytes()[: whole.stat().st_size * 6 // 10])
    clip = read_video(path, RULE, SIZE)
    assert len(clip.requested_s) == 4
    assert clip.duration_s == pytest.approx(4.0, abs=0.01)
    assert 1 <= clip.shortfall == 4 - len(clip.frames)
    assert [read_number(frame) for frame in clip.frames] == [15, 45, 75][: len(clip.frames)]
    assert fault_of(path, start_s=3.6) is MediaFault.TRUNCATED


def test_headers_without_frames_are_truncated(make_video, tmp_path):
    whole = make_video("headers_first.mp4", container_options={"movflags": "faststart"}).read_bytes()
    path = tmp_path / "headers.mp4"
    path.write_bytes(whole[: whole.index(b"mdat") + 4])
    assert fault_of(path) is MediaFault.TRUNCATED


@pytest.mark.parametrize("name", ["plain.mp4", "damaged.ts", "damaged.mkv"])
def test_damage_in_the_middle_costs_frames_near_it_only(make_video, tmp_path, read_number, name):
    whole = make_video(name, options={"bf": "3", "g": "40", "sc_threshold": "0"})
    data = bytearray(whole.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 4000] = bytes(4000)
    path = tmp_path / name
    path.write_bytes(data)
    clip = read_video(path, FrameRule(fps=30), SIZE)
    numbers = [round(timestamp_s * 30) for timestamp_s in clip.timestamps_s]
    assert len(numbers) + clip.shortfall == len(clip.requested_s)
    assert {*range(30), *range(90, 120)} <= set(numbers)
    assert [read_number(f) for n, f in zip(numbers, clip.frames, strict=True) if n < 30 or n >= 90] == [
        number for number in numbers if number < 30 or number >= 90
    ]


def test_nothing_decodable_is_undecodable(plain_video, tmp_path):
    data = bytearray(plain_video.read_bytes())
    begin, end = data.index(b"mdat") + 4, data.index(b"moov") - 4
    data[begin:end] = b"\xff" * (end - begin)
    path = tmp_path / "blank.mp4"
    path.write_bytes(data)
    assert fault_of(path) is MediaFault.UNDECODABLE


def test_segment(plain_video, read_number):
    clip = read_video(plain_video, RULE, SIZE, start_s=1.0, end_s=2.9)
    assert [read_number(frame) for frame in clip.frames] == [45, 75]
    assert clip.timestamps_s == [1.5, 2.5]
    assert clip.duration_s == 2.9


def test_segment_may_reach_over_the_end(plain_video):
    clip = read_video(plain_video, FrameRule(max_frames=2), SIZE, start_s=2.0, end_s=100.0)
    assert clip.timestamps_s == [2.5, 3.5]
    assert (clip.duration_s, clip.shortfall) == (4.0, 0)


@pytest.mark.parametrize(
    ("start_s", "end_s"), [(4.0, None), (60.0, 70.0), (-1.0, 2.0), (2.0, 2.0), (3.0, 1.0), (1.0, float("nan"))]
)
def test_segment_outside_the_clip(plain_video, start_s, end_s):
    assert fault_of(plain_video, start_s=start_s, end_s=end_s) is MediaFault.OUT_OF_RANGE


@pytest.mark.parametrize(("count", "number"), [(1, 0), (2, 0), (9, 4), (15, 7)])
def test_clips_shorter_than_half_a_second(make_video, read_number, count, number):
    clip = read_video(make_video(f"short{count}.mp4", count=count), RULE, SIZE)
    assert [read_number(frame) for frame in clip.frames] == [number]
    assert clip.timestamps_s == pytest.approx([number / 30])
    assert clip.shortfall == 0


def test_unknown_resize_is_a_setup_error(plain_video):
    with pytest.raises(SetupError, match="resize = 'best' is unknown: use one of exact, fast"):
        read_video(plain_video, RULE, resize="best")


def test_awkward_file_names(plain_video, tmp_path):
    for name in ("a:b.mp4", "100%d.mp4", "späce ?.mp4", "-i.mp4"):
        path = tmp_path / name
        path.write_bytes(plain_video.read_bytes())
        assert len(read_video(path, RULE, SIZE).frames) == 4


@pytest.mark.alone
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_clips_and_errors_come_back_from_workers(plain_video, tmp_path, method):
    read_video(plain_video, RULE, SIZE)  # a parent that has read before must not hang its forks
    with multiprocessing.get_context(method).Pool(1) as pool:
        clip = pool.apply(read_video, (plain_video, RULE, SIZE))
        with pytest.raises(MediaError) as caught:
            pool.apply(read_video, (tmp_path / "nowhere.mp4", RULE))
    assert np.array_equal(clip.frames, read_video(plain_video, RULE, SIZE).frames)
    assert caught.value.fault is MediaFault.MISSING
    assert pickle.loads(pickle.dumps(clip)).timestamps_s == clip.timestamps_s


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")
def test_reading_leaks_neither_memory_nor_files(plain_video, tmp_path):
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(plain_video.read_bytes()[:-20_000])

    def read_both(times: int) -> None:
        for _ in range(times):
            read_video(plain_video, FrameRule(max_frames=1), SIZE)
            with pytest.raises(MediaError):
                read_video(broken, RULE, SIZE)

    read_both(20)
    before_mb, before_files = resident_mb(), len(list(Path("/proc/self/fd").iterdir()))
    read_both(300)
    gc.collect()
    assert resident_mb() - before_mb < 50
    assert len(list(Path("/proc/self/fd").iterdir())) <= before_files


def test_import_is_light():
    program = "import sys, qsv_eval.model_adapters.frames; print({'torch', 'transformers'} & sys.modules.keys())"
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
