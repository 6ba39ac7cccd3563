"""Sections of benchmarks/gpu.py that compare a model with itself: data types, device maps, bits and little memory.

Each returns rows of (what, measured, by arithmetic), from a shallow model of the same widths.
"""

import copy
import tempfile
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from gpu_model import QUESTION, Size, clip_of, make_model, save_model

from qsv_eval.model_adapters.cubing import CubeRule
from qsv_eval.model_adapters.engine.cache_key import REPLY_VERSION, AnswerSettings
from qsv_eval.model_adapters.engine.engine import Engine, EngineOptions
from qsv_eval.model_adapters.engine.journal import Journal
from qsv_eval.model_adapters.engine.records import AnswerStatus
from qsv_eval.model_adapters.engine.request import GenerationSettings, Request
from qsv_eval.model_adapters.frames import FrameRule
from qsv_eval.model_adapters.frames.read_job import ReadSettings
from qsv_eval.model_adapters.quicksviewer import Quicksviewer, load_pretrained
from qsv_eval.model_adapters.quicksviewer.checkpoint import LoadedCheckpoint

__all__ = ["device_maps", "out_of_memory", "precision", "quantised"]

Cells = tuple[str, str, str]


@torch.inference_mode()
def precision(qv: Quicksviewer, size: Size) -> list[Cells]:
    """Compare logits and cubes in bfloat16 with those in float32."""
    shallow = size.shallow()
    half = make_model(shallow, qv.model.device)
    whole = Quicksviewer(LoadedCheckpoint(copy.deepcopy(half.model).float(), half.processor))
    rows = []
    for frames in (5, shallow.frames):
        conversation = clip_of(half, frames)
        batch = half.processor.encode([conversation], add_generation_prompt=True).to(qv.model.device)
        bfloat16, float32 = (quicksviewer.model(**batch) for quicksviewer in (half, whole))
        error = (bfloat16.logits.float() - float32.logits).abs().max() / float32.logits.abs().max()
        same = bool(torch.equal(bfloat16.cube_starts, float32.cube_starts))
        rows.append(
            (f"bfloat16 against float32, {frames} frames", f"{error:.1e} of the largest logit", f"cubes equal: {same}")
        )
    return rows


def device_maps(qv: Quicksviewer, size: Size) -> list[Cells]:
    """Compare the replies of a model spread over devices with those of the model on one device."""
    from accelerate import dispatch_model

    device = str(qv.model.device)
    shallow = size.shallow()
    whole = make_model(shallow, qv.model.device, torch.float32)
    conversation = clip_of(whole, shallow.frames)
    expected = whole.chat(conversation, max_new_tokens=8)
    maps: dict[str, dict[str, Any]] = {
        "all on one device": {"": device},
        "perception on the CPU": {"model.perception": "cpu", "model.language_model": device, "lm_head": device},
        "language model offloaded": {"model.perception": device, "model.language_model": "cpu", "lm_head": device},
    }
    if torch.cuda.device_count() > 1:
        maps["vision and language apart"] = {
            "model.perception": "cuda:0",
            "model.language_model": "cuda:1",
            "lm_head": "cuda:1",
        }
    rows = []
    for name, device_map in maps.items():
        model = dispatch_model(copy.deepcopy(whole.model), device_map, main_device=device)
        reply = Quicksviewer(LoadedCheckpoint(model, whole.processor)).chat(conversation, max_new_tokens=8)
        equal = reply.token_ids == expected.token_ids and reply.cubes == expected.cubes
        rows.append((name, f"reply and cubes equal: {equal}", ""))
    return rows


def quantised(qv: Quicksviewer, size: Size) -> list[Cells]:
    """Load the model in 16, 8 and 4 bits, measure the memory of the weights, and answer a question."""
    from transformers.utils import is_bitsandbytes_available

    if not is_bitsandbytes_available():
        return [("4 and 8 bits", "bitsandbytes is not installed", "")]
    rows = []
    shallow = size.shallow()
    with tempfile.TemporaryDirectory() as name:
        folder = save_model(make_model(shallow, qv.model.device), Path(name))
        for bits in (None, 8, 4):
            loaded = load_pretrained(folder, device=qv.model.device, dtype="bfloat16", bits=bits)
            weights = loaded.model.model.language_model.get_memory_footprint()
            count = sum(parameter.numel() for parameter in qv.model.model.language_model.parameters())
            reply = loaded.chat(clip_of(loaded, shallow.frames), max_new_tokens=8)
            full = f"{count * (bits or 16) / 8e9:.2f} GB for all layers of this size"
            what = f"{bits or 16} bits, {len(reply.token_ids)} tokens answered"
            rows.append((what, f"{weights / 1e9:.2f} GB of weights", full))
            del loaded
    return rows


def out_of_memory(qv: Quicksviewer, size: Size) -> list[Cells]:
    """Answer with too little memory for the longest video, without and with `allow_degraded`."""
    device = qv.model.device
    if device.type != "cuda":
        return [("memory ladder", "needs CUDA", "")]
    rows = []
    total = torch.cuda.get_device_properties(device).total_memory
    with tempfile.TemporaryDirectory() as name:
        video = _encode(Path(name, "long.mp4"), size.frames)
        for allowed in (False, True):
            torch.cuda.empty_cache()
            limit = torch.cuda.memory_allocated(device) + _FREE_BYTES
            torch.cuda.set_per_process_memory_fraction(limit / total, device)
            try:
                answer, record = _answer(qv, video, Path(name, f"journal-{allowed}"), degraded=allowed)
            finally:
                torch.cuda.set_per_process_memory_fraction(1.0, device)
            if answer.status is AnswerStatus.ANSWERED:
                frames = len(record.videos[0].timestamps_s)
                result = f"answered on {frames} of {size.frames} frames, marked degraded: {record.degraded}"
            else:
                result = f"an error: {answer.reason[:80]}"
            rows.append((f"{_FREE_BYTES / 1e9:.1f} GB beside the weights, allow_degraded {allowed}", result, ""))
    return rows


_FREE_BYTES = 1 << 30
"""Memory beside the weights: too little for summaries and cache of 420 frames, enough for those of 64."""


def _answer(qv: Quicksviewer, video: Path, journal: Path, *, degraded: bool) -> tuple[Any, Any]:
    side = qv.processor.video_processor.frame_size
    rule = FrameRule(fps=1, max_frames=420)
    settings = AnswerSettings("random", REPLY_VERSION, "bfloat16", rule, CubeRule(), "pyav", "exact")
    options = EngineOptions(readers=0, show_progress=False, allow_degraded=degraded, reading=ReadSettings((side, side)))
    messages = [
        {"role": "user", "content": [{"type": "video", "video": str(video)}, {"type": "text", "text": QUESTION}]}
    ]
    request = Request("gpu", 0, "test", 0, "0", messages, GenerationSettings(max_new_tokens=4), rule)
    engine = Engine(qv, Journal(journal, accept_degraded=degraded), settings, None, options)  # type: ignore[arg-type]
    [answer] = engine.answer([request])
    return answer, next(engine.journal.records())


def _encode(path: Path, frames: int) -> Path:
    """Encode a small video with one frame per second."""
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("mpeg4", rate=1)
        stream.width = stream.height = 96
        stream.pix_fmt = "yuv420p"
        for index in range(frames):
            picture = np.full((96, 96, 3), 40 * (index // 5) % 256, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path
