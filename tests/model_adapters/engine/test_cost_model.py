import pytest

from qsv_eval.model_adapters.cubing import CubeRule
from qsv_eval.model_adapters.engine.cost_model import CostEstimate, UnitCosts, describe_bytes
from qsv_eval.model_adapters.frames import ClipRequest, FrameRule, VideoInfo
from qsv_eval.model_adapters.quicksviewer import QuicksviewerConfig

INFO = VideoInfo(600.0, 25.0, 15_000, 1280, 720)


@pytest.fixture(scope="module")
def costs(qwen_7b):
    """Return the costs of the released 7B model, with the default vision tower (so400m patch14-384)."""
    return UnitCosts.of(QuicksviewerConfig(text_config=qwen_7b), frame_size=384, value_bytes=2)


def test_the_bytes_of_the_7b_model(costs):
    assert costs.cache_bytes == 57_344
    assert costs.frame_bytes == 442_368
    assert costs.summary_bytes == pytest.approx(0.6e6, rel=0.05)


def test_a_head_may_have_a_width_of_its_own(costs, qwen_7b):
    wide = UnitCosts.of(QuicksviewerConfig(text_config=qwen_7b | {"head_dim": 256}), frame_size=384, value_bytes=2)
    assert wide.cache_bytes == 2 * costs.cache_bytes


def test_the_seconds_are_those_of_the_multiplications(costs):
    # so400m is 0.41e9 parameters on 729 tokens, and attention adds to that; Qwen2.5-7B is 6.5e9 without embeddings.
    assert costs.frame_s * 1e14 == pytest.approx(2 * 0.41e9 * 729, rel=0.15)
    assert costs.token_s * 1e14 == pytest.approx(2 * 6.5e9, rel=0.05)


@pytest.mark.parametrize(
    "rule", [FrameRule(), FrameRule(max_frames=64), FrameRule(fps=0.1, name="blocks"), FrameRule(fps=2)]
)
@pytest.mark.parametrize("bounds", [(None, None), (30.0, None), (100.5, 131.0)])
def test_frames_are_those_of_the_rule(costs, rule, bounds):
    frames = costs.video(INFO, rule, CubeRule(), *bounds).frames
    assert frames == len(rule.instants(INFO.fps, INFO.frame_count, *bounds))


def test_a_segment_that_reaches_over_the_end_ends_with_the_video(costs):
    rule = FrameRule(max_frames=10)
    assert costs.video(INFO, rule, CubeRule(), None, 100_000.0) == costs.video(INFO, rule, CubeRule())


def test_a_clip_from_which_the_rule_picks_nothing_has_a_frame(costs):
    assert costs.video(VideoInfo(0.4, 25.0, 10, 640, 360), FrameRule(), CubeRule()).frames == 1


def test_a_frame_that_several_want_is_counted_once(costs):
    few, many = (ClipRequest(FrameRule(max_frames=most)) for most in (70, 300))
    alone = costs.frames(INFO, [many])
    assert costs.frames(INFO, [many, many]) == alone == 300
    assert alone < costs.frames(INFO, [few, many]) < 370
    assert costs.frames(None, [few]) == 0


def test_fewer_frames_a_cube_are_more_tokens(costs):
    usual, half = (costs.video(INFO, FrameRule(), CubeRule(frames_per_cube=most)).tokens for most in (5, 2.5))
    assert half == pytest.approx(2 * usual, rel=0.02)


def test_tokens_are_those_of_cubes_and_times(costs):
    expected = costs.video(INFO, FrameRule(max_frames=420), CubeRule())
    cubes = CubeRule().cubes(420)
    assert (expected.frames, cubes) == (420, 84)
    assert (cubes + 1) * 64 < expected.tokens < (cubes + 1) * (64 + 8)


def test_more_to_decode_costs_more(costs):
    def decode_s(duration_s, width, height, max_frames):
        info = VideoInfo(duration_s, 25.0, int(25 * duration_s), width, height)
        return costs.video(info, FrameRule(max_frames=max_frames), CubeRule()).decode_s

    assert decode_s(60, 640, 360, 64) < decode_s(600, 640, 360, 64)
    assert decode_s(60, 640, 360, 64) < decode_s(60, 1920, 1080, 64)
    assert decode_s(600, 640, 360, 64) < decode_s(600, 640, 360, 256)


@pytest.mark.parametrize("info", [None, VideoInfo(0.0, 0.0, 0, 0, 0)])
def test_a_file_whose_header_says_nothing_costs_nothing(costs, info):
    assert costs.video(info, FrameRule(), CubeRule()) == CostEstimate()


def test_the_longer_of_encoding_and_reading_counts(qwen_7b):
    costs = UnitCosts.of(QuicksviewerConfig(text_config=qwen_7b), frame_size=384, value_bytes=2, readers=4)
    model_s = costs.seconds(CostEstimate(frames=10, tokens=100), 2)
    assert costs.seconds(CostEstimate(10, 100, decode_s=1e6), 2) == 2.5e5
    assert costs.seconds(CostEstimate(10, 100, decode_s=1e-9), 2) == model_s > costs.seconds(CostEstimate(10, 100), 1)


def test_expectations_add_up():
    assert sum([CostEstimate(1, 2, 3.0), CostEstimate(10, 20, 30.0)], CostEstimate()) == CostEstimate(11, 22, 33.0)


def test_bytes_are_described_in_one_line(costs):
    line = describe_bytes(costs, 420, 84, 3)
    assert "\n" not in line
    assert "420 frames, 84 cubes, about 5,860 tokens: 186 MB of pixels" in line
    assert "260 MB of summaries and 1.3 GB of key-value cache" in line
    assert "0 frames, 0 cubes" in describe_bytes(costs, 0, 0, 1)
