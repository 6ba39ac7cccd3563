"""Small encoded videos whose pixels encode the frame index, so that tests can identify each frame."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from qsv_eval.model_adapters.errors import MediaError
from qsv_eval.model_adapters.frames import ClipRequest, DecodedFrames, FrameStore, read_frames

BITS = 10
CELL = 16


def draw_number(number: int, height: int, width: int) -> np.ndarray:
    """White cells for the bits that are set, above noise that differs in every frame."""
    picture_HWC = np.zeros((height, width, 3), dtype=np.uint8)
    noise = np.random.default_rng(number).integers(0, 256, (height // 8 + 1, width // 8 + 1, 3), dtype=np.uint8)
    picture_HWC[CELL:] = np.kron(noise, np.ones((8, 8, 1), dtype=np.uint8))[CELL:height, :width]
    for bit in range(BITS):
        if number >> bit & 1:
            picture_HWC[:CELL, bit * CELL : (bit + 1) * CELL] = 255
    return picture_HWC


def read_number_of(picture_HWC: np.ndarray) -> int:
    cells = [picture_HWC[4:12, bit * CELL + 4 : bit * CELL + 12].mean() > 128 for bit in range(BITS)]
    return sum(1 << bit for bit, is_set in enumerate(cells) if is_set)


def write_video(
    path: Path,
    codec: str = "libx264",
    count: int = 120,
    rate: int = 30,
    size: tuple[int, int] = (96, 160),
    pix_fmt: str = "yuv420p",
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
    pts: list[int] | None = None,
    time_base: Fraction | None = None,
) -> Path:
    """Encode `count` numbered frames. `pts` in `time_base` makes the frame rate variable."""
    with av.open(path, "w", options=container_options or {}) as container:
        stream = container.add_stream(codec, rate=rate, options=options or {})
        stream.height, stream.width, stream.pix_fmt = *size, pix_fmt
        if time_base is not None:
            stream.codec_context.time_base = time_base
        for number in range(count):
            frame = av.VideoFrame.from_ndarray(draw_number(number, *size), format="rgb24")
            if pts is not None:
                frame.pts, frame.time_base = pts[number], time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@pytest.fixture(scope="session")
def make_video(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Return `write_video` into a session's folder; a file name always stands for the same arguments."""
    folder = tmp_path_factory.mktemp("videos")

    def make(name: str, **arguments: object) -> Path:
        path = folder / name
        return path if path.exists() else write_video(path, **arguments)

    return make


@pytest.fixture(scope="session")
def plain_video(make_video: Callable[..., Path]) -> Path:
    """4 seconds at 30 frames per second, H.264 with B-frames, a keyframe every 40 frames."""
    return make_video("plain.mp4", options={"bf": "3", "g": "40", "sc_threshold": "0"})


@pytest.fixture(scope="session")
def read_number() -> Callable[[np.ndarray], int]:
    return read_number_of


@pytest.fixture(scope="session")
def decode_all() -> Callable[[Path], list[np.ndarray]]:
    """The plainest way to get every frame, as the standard that the reader is held to."""

    def decode(path: Path) -> list[np.ndarray]:
        with av.open(path) as container:
            return [frame.to_ndarray(format="rgb24", dst_colorspace="ITU601") for frame in container.decode(video=0)]

    return decode


@pytest.fixture
def store(tmp_path: Path) -> FrameStore:
    """An empty frame store with room for everything."""
    return FrameStore(tmp_path / "store", 1 << 30)


@pytest.fixture(scope="session")
def entries() -> Callable[..., list[Path]]:
    """Return the function that lists a store's files."""
    return lambda store, suffix=".frames": sorted(store.folder.glob(f"*/*{suffix}"))


def assert_same_frames(decoded: DecodedFrames, expected: DecodedFrames) -> None:
    assert np.array_equal(decoded.frames, expected.frames)
    assert (decoded.frames.dtype, decoded.frames.shape) == (np.uint8, expected.frames.shape)
    for view, wanted in zip(decoded.views, expected.views, strict=True):
        if isinstance(wanted, MediaError):
            assert (view.path, view.fault, view.detail) == (wanted.path, wanted.fault, wanted.detail)
        else:
            assert view == wanted
    rest = ("timestamps_s", "fps", "packet_errors")
    assert [getattr(decoded, name) for name in rest] == [getattr(expected, name) for name in rest]


@pytest.fixture(scope="session")
def assert_read() -> Callable[..., None]:
    """Return the function that reads through a store: what it gives is what reading the video gives."""

    def check(
        store: FrameStore,
        path: Path,
        requests: list[ClipRequest],
        size: tuple[int, int] = (96, 160),
        resize: str = "exact",
        hit: bool | None = None,
    ) -> None:
        decoded, was_hit = store.read(path, requests, size, resize)
        assert hit is None or was_hit is hit
        assert_same_frames(decoded, read_frames(path, requests, size, resize))

    return check


@pytest.fixture(scope="session")
def of_seconds(make_video: Callable[..., Path]) -> Callable[[int], Path]:
    """Return the function that makes a video so long."""
    return lambda seconds: make_video(f"of{seconds}s.mp4", count=30 * seconds)
