"""The model on a GPU, held against the reference's outputs and against the CPU. Skipped without CUDA."""

import importlib.util

import pytest
import torch

from qsv_eval.model_adapters.quicksviewer import load_pretrained

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")]


@pytest.fixture(scope="module")
def on_gpu(reference, model_name):
    return load_pretrained(reference / model_name, device="cuda", dtype="float32")


def test_replies_and_cubes_are_the_references(on_gpu, case):
    reply = on_gpu.chat(case.messages, max_new_tokens=24)
    assert [[list(cube[:2]) for cube in video] for video in reply.cubes] == case.facts["cube_bound"]
    assert reply.token_ids == case.facts["generated_ids"]


@torch.no_grad()
def test_logits_are_the_references(on_gpu, video_case):
    batch = on_gpu.processor.encode([on_gpu.read_media(video_case.messages)]).to("cuda")
    logits = on_gpu.model(**batch).logits[:, -1].cpu()
    expected = video_case.tensors["last_logits"]
    assert (logits - expected).abs().max() < 1e-3 * expected.abs().max()


def test_bfloat16_cuts_as_float32(reference, model_name, video_case):
    half = load_pretrained(reference / model_name, device="cuda", dtype="bfloat16")
    reply = half.chat(video_case.messages, max_new_tokens=2)
    assert [[list(cube[:2]) for cube in video] for video in reply.cubes] == video_case.facts["cube_bound"]


def test_perception_on_the_cpu_and_the_rest_on_the_gpu(reference, model_name, on_gpu, video_case):
    places = {"model.perception": "cpu", "model.language_model": 0, "lm_head": 0}
    apart = load_pretrained(reference / model_name, dtype="float32", device_map=places)
    said, expected = (one.chat(video_case.messages, max_new_tokens=8) for one in (apart, on_gpu))
    assert (said.token_ids, said.cubes) == (expected.token_ids, expected.cubes)


@pytest.mark.parametrize("bits", [4, 8])
def test_quantised(reference, model_name, video_case, bits):
    pytest.importorskip("bitsandbytes")
    qv = load_pretrained(reference / model_name, device="cuda", dtype="bfloat16", bits=bits)
    reply = qv.chat(video_case.messages, max_new_tokens=4)
    assert [[list(cube[:2]) for cube in video] for video in reply.cubes] == video_case.facts["cube_bound"]
    assert len(reply.token_ids) >= 1


@pytest.mark.skipif(importlib.util.find_spec("flash_attn") is None, reason="needs flash-attn")
def test_flash_attention_is_chosen(reference, model_name):
    qv = load_pretrained(reference / model_name, device="cuda", dtype="bfloat16")
    assert qv.model.config.text_config._attn_implementation == "flash_attention_2"
