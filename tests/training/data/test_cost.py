import numpy as np
import pytest

from qsv_eval.model_adapters.cubing import CubeRule
from qsv_eval.model_adapters.frames import FrameRule
from qsv_eval.model_adapters.quicksviewer import QuicksviewerConfig
from qsv_eval.training.data.cost import Size, Sizing, costs, frame_cost
from qsv_eval.training.data.readers import SizeHint

SIZING = Sizing(64, CubeRule(), True, FrameRule(max_frames=420))


def test_a_long_video_is_85_blocks():
    """420 frames give (84 + 1) · 64 visual tokens (docs/reference.md)."""
    size = SIZING.size(SizeHint(0, 0, 3600.0, True))
    assert size.frames == 420
    assert 85 * 64 < size.tokens < 85 * 64 + 84 * 6 + 20


@pytest.mark.parametrize(("frames", "cubes"), [(2, 2), (12, 2), (13, 3), (18, 4), (22, 4), (420, 84), (480, 96)])
def test_number_of_cubes(frames, cubes):
    assert SIZING.cube_rule.cubes(frames) == cubes


def test_unknown_sizes_are_the_maximum():
    assert SIZING.size(SizeHint(0, 0, None, True)).frames == 420
    assert SIZING.size(SizeHint(0, 0, None, True, frames=30)).frames == 30
    assert SIZING.size(SizeHint(0, 2, None, False)) == Size(16 + 10 * 66, 10)


def test_text_costs_by_its_length():
    short, long = (SIZING.size(SizeHint(text_bytes, 0, None, False)).tokens for text_bytes in (10, 3500))
    assert (short, long) == (18, 1016)


def test_a_frame_of_the_full_model_costs_as_much_as_fifty_tokens(qwen_7b):
    assert 40 < frame_cost(QuicksviewerConfig(text_config={**qwen_7b, "vocab_size": 151673})) < 60


def test_costs_are_tokens_and_frames():
    assert costs(np.array([[10, 3], [5, 0]]), 2.5).tolist() == [18, 5]
