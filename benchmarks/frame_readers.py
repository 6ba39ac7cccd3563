"""Frame readers compared by benchmarks/frames.py; each returns the job's frames as uint8 (T, 384, 384, 3).

All but `ours_fast` resize with Pillow, and none keeps more full-size pictures than necessary.
"""

import importlib.util
import itertools
import math
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from qsv_eval.model_adapters.frames import ClipRequest, FrameRule, FrameStore, read_video

SIZE = (384, 384)


class Job(NamedTuple):
    """A video, the frames to read, and the facts that readers need."""

    path: Path
    rule: FrameRule
    indices: list[int]
    """Indices of the frames that the rule selects."""
    fps: float
    width: int
    height: int
    store: Path


def resized(pictures_HWC: Iterable[np.ndarray], count: int) -> np.ndarray:
    frames_THWC = np.empty((count, *SIZE, 3), dtype=np.uint8)
    for frame_HWC, picture_HWC in zip(frames_THWC, pictures_HWC, strict=True):
        frame_HWC[:] = Image.fromarray(picture_HWC).resize(SIZE[::-1], Image.Resampling.BICUBIC)
    return frames_THWC


def ours(job: Job) -> np.ndarray:
    return read_video(job.path, job.rule, SIZE).frames


def ours_fast(job: Job) -> np.ndarray:
    return read_video(job.path, job.rule, SIZE, resize="fast").frames


def store_first(job: Job) -> np.ndarray:
    shutil.rmtree(job.store, ignore_errors=True)
    footage, hit = FrameStore(job.store, 1 << 40).read(job.path, [ClipRequest(job.rule)], SIZE)
    assert not hit
    return footage.frames


def store_again(job: Job) -> np.ndarray:
    footage, hit = FrameStore(job.store, 1 << 40).read(job.path, [ClipRequest(job.rule)], SIZE)
    assert hit
    return footage.frames


def plain_plan(job: Job) -> np.ndarray:
    """Scan packets, plan and decode with PyAV, without checks: works only for intact H.264 in mp4."""
    with av.open(job.path) as container:
        packets = [(packet.pts, packet.is_keyframe) for packet in container.demux(video=0) if packet.pts is not None]
    times = sorted(pts for pts, _ in packets)
    keys = sorted(pts for pts, is_keyframe in packets if is_keyframe)
    wanted = [times[index] for index in job.indices]

    def pictures() -> Iterable[np.ndarray]:
        with av.open(job.path) as container:
            stream = container.streams.video[0]
            stream.thread_count = 1
            for key, group in itertools.groupby(wanted, lambda pts: max(k for k in keys if k <= pts)):
                left = set(group)
                container.seek(key, stream=stream)
                for packet in container.demux(stream):
                    stream.codec_context.skip_frame = "DEFAULT" if packet.pts in left else "NONREF"
                    for frame in packet.decode():
                        if frame.pts in left:
                            left.remove(frame.pts)
                            yield frame.to_ndarray(format="rgb24")
                    if not left:
                        break

    return resized(pictures(), len(wanted))


def sequential(job: Job) -> np.ndarray:
    """Decode everything with PyAV."""
    wanted = set(job.indices)
    with av.open(job.path) as container:
        decoded = itertools.islice(container.decode(video=0), job.indices[-1] + 1)
        kept = (frame.to_ndarray(format="rgb24") for index, frame in enumerate(decoded) if index in wanted)
        return resized(kept, len(wanted))


def opencv(job: Job) -> np.ndarray:
    """Decode every frame of the file with OpenCV, as the reference does."""
    import cv2

    wanted = set(job.indices)

    def pictures() -> Iterable[np.ndarray]:
        capture = cv2.VideoCapture(str(job.path))
        for index in itertools.count():
            success, picture_HWC = capture.read()
            if not success:
                return
            if index in wanted:
                yield cv2.cvtColor(picture_HWC, cv2.COLOR_BGR2RGB)

    return resized(pictures(), len(wanted))


def decord(job: Job) -> np.ndarray:
    import decord

    reader = decord.VideoReader(str(job.path), num_threads=1)
    return resized((reader[index].asnumpy() for index in job.indices), len(job.indices))


def ffmpeg_seek(job: Job) -> np.ndarray:
    """Run FFmpeg's command line once per frame."""

    def pictures() -> Iterable[np.ndarray]:
        for index in job.indices:
            seek = ["-ss", f"{max(index - 0.5, 0) / job.fps:.6f}"]
            yield from _piped(job, seek, ["-frames:v", "1"])

    return resized(pictures(), len(job.indices))


def ffmpeg_select(job: Job) -> np.ndarray:
    """Run FFmpeg's command line once, with a filter that selects the middle frame of each second.

    FFmpeg cannot parse a filter with 420 frame numbers, so frames that the rule leaves out are dropped here.
    """
    first, step = job.indices[0], math.gcd(*(index - job.indices[0] for index in job.indices))
    filters = ["-vf", f"select='gte(n,{first})*not(mod(n-{first},{step}))'", "-fps_mode", "passthrough"]
    wanted = set(job.indices)
    passed = zip(itertools.count(first, step), _piped(job, [], filters), strict=False)
    return resized((picture for index, picture in passed if index in wanted), len(wanted))


def _piped(job: Job, before: list[str], after: list[str]) -> Iterable[np.ndarray]:
    command = [ffmpeg_program() or "", "-v", "error", *before, "-i", str(job.path), *after]
    with subprocess.Popen([*command, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        while data := process.stdout.read(job.width * job.height * 3):
            yield np.frombuffer(data, dtype=np.uint8).reshape(job.height, job.width, 3)


def ffmpeg_program() -> str | None:
    if importlib.util.find_spec("imageio_ffmpeg") and not shutil.which("ffmpeg"):
        import imageio_ffmpeg

        return imageio_ffmpeg.get_ffmpeg_exe()
    return shutil.which("ffmpeg")


def missing(reader: Callable[[Job], np.ndarray]) -> str:
    """Return the dependency that a reader lacks on this machine; empty if it can run."""
    module = {"decord": "decord", "opencv": "cv2"}.get(reader.__name__)
    if module and importlib.util.find_spec(module) is None:
        return f"{module} not installed"
    if reader.__name__.startswith("ffmpeg") and ffmpeg_program() is None:
        return "ffmpeg not installed (PyPI: imageio-ffmpeg)"
    return ""
