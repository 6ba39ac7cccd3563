import numpy as np
import pytest

from qsv_eval.model_adapters.frames.store_format import pack, unpack

RNG = np.random.default_rng(0)


def noise(*shape: int) -> np.ndarray:
    return RNG.integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize(
    "frames",
    [
        noise(9, 31, 17, 3),
        noise(1, 1, 1, 3),
        noise(4, 1, 5, 3),
        noise(3, 5, 1, 3),
        np.zeros((5, 8, 8, 3), np.uint8),
        np.tile(np.arange(256, dtype=np.uint8)[:, None, None], (2, 1, 300, 3)),
    ],
    ids=lambda frames: str(frames.shape),
)
def test_packing_and_back_is_exact(frames):
    packed = list(pack(frames))
    again = np.full_like(frames, 99)
    unpack(packed, again)
    assert np.array_equal(again, frames)


def test_each_frame_stands_by_itself():
    frames = noise(6, 20, 20, 3)
    packed = list(pack(frames))
    some = np.empty_like(frames[:2])
    unpack([packed[5], packed[2]], some)
    assert np.array_equal(some, frames[[5, 2]])


def test_pictures_of_something_get_smaller():
    slope = np.linspace(0, 200, 384)[:, None, None] + np.linspace(0, 55, 384)[None, :, None]
    picture = np.broadcast_to(slope, (384, 384, 3)).astype(np.uint8)[None]
    assert sum(map(len, pack(picture))) < picture.nbytes / 20


@pytest.mark.parametrize("other", [noise(1, 8, 9, 3), noise(1, 8, 7, 3)])
def test_another_shape_is_noticed(other):
    with pytest.raises(ValueError, match="frame 0"):
        unpack(list(pack(other)), np.empty((1, 8, 8, 3), np.uint8))


def test_garbage_is_noticed():
    with pytest.raises(ValueError, match="frame 0 is damaged"):
        unpack([b"no zstd at all"], np.empty((1, 8, 8, 3), np.uint8))
