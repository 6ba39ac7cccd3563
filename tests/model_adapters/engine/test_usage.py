import pytest

from qsv_eval.model_adapters.engine.usage import Use, summarise_use


def test_means_and_ends():
    uses = [Use(frames, frames // 4, 10 * frames, 100, 2, {"vit": frames / 10}, 0.5) for frames in range(1, 101)]
    found = summarise_use(uses)
    assert found["answers"] == 100
    assert found["frames"] == {"mean": 50.5, "p5": pytest.approx(5.95), "p95": pytest.approx(95.05)}
    assert found["tokens_per_frame"] == 10
    assert found["seconds"]["vit"] == pytest.approx(5.05)
    assert found["seconds"]["prefill"] == 0
    assert (found["prompt_tokens"], found["read_s"]) == (100, 0.5)


def test_answers_without_frames_have_no_tokens_a_frame():
    assert summarise_use([Use(prompt_tokens=7)])["tokens_per_frame"] is None
    assert summarise_use([]) == {}
