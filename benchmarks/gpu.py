"""Speed, memory and equal replies of a 7B-sized model with random weights on one GPU.

    python benchmarks/gpu.py                                   # everything, a few minutes
    python benchmarks/gpu.py --only stages,memory --output gpu.json
    python benchmarks/gpu.py --device cpu --size tiny          # the same code without a GPU

Needs neither lmms-eval nor a network. The model is made on the device in bfloat16. A section that fails prints its
error in its row and does not stop the others.
"""

import argparse
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks"), str(ROOT / "tests" / "helpers")]

from gpu_model import SIZES, Size, clip_of, make_model, prompt_of  # noqa: E402 - found through the line above
from gpu_sections import device_maps, out_of_memory, precision, quantised  # noqa: E402

from qsv_eval.model_adapters.engine.cost_model import UnitCosts  # noqa: E402
from qsv_eval.model_adapters.quicksviewer import Quicksviewer  # noqa: E402
from qsv_eval.model_adapters.quicksviewer.generation import generate, merge_prompt, read_prefix  # noqa: E402

RUNS = 5
NEW_TOKENS = 32


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    section: str
    what: str
    measured: str
    by_arithmetic: str = ""


def milliseconds(work: Callable[[], Any], device: torch.device, runs: int = RUNS) -> float:
    """Return the median time of several runs, after a warm-up run."""
    times_ms = []
    for run in range(runs + 1):
        synchronize(device)
        start = time.perf_counter()
        work()
        synchronize(device)
        if run:
            times_ms.append(1e3 * (time.perf_counter() - start))
    return statistics.median(times_ms)


def synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def rate(flop: float, ms: float) -> str:
    return f"{flop / 1e12:.3g} TFLOP, {flop / ms / 1e9:.3g} TFLOP/s"


@torch.inference_mode()
def stages(qv: Quicksviewer, size: Size) -> list[Row]:
    """Measure the time of each stage for one video of `size.frames` frames, beside its FLOP."""
    model, device = qv.model, qv.model.device
    perception, config = model.model.perception, model.config
    work = UnitCosts.of(config, frame_size=1, value_bytes=2, flops=1.0)  # with 1 FLOP/s, costs are in FLOP
    frames, side = size.frames, config.vision_config.image_size
    pixels = torch.randint(0, 256, (frames, 3, side, side), dtype=torch.uint8, device=device)
    chunk = perception.chunk_frames
    runs = 3

    def tower() -> None:
        for part in pixels.split(chunk):
            perception.encode(part)

    rows = []

    def add_row(what: str, ms: float, arithmetic: str) -> None:
        rows.append(Row("stages", what, f"{ms:.1f} ms", arithmetic))

    vit_ms = milliseconds(tower, device, runs)
    add_row(f"vision tower, {frames} frames", vit_ms, rate(frames * work.frame_s, vit_ms))
    perception_ms = milliseconds(lambda: perception.summarise(pixels), device, runs)
    tokens, d, width = config.grid_size**2, config.vision_config.hidden_size, config.text_config.hidden_size
    scores = config.num_queries * config.resampler_heads
    fold = frames * 2 * (tokens * d * (d + 2 * scores) + config.num_queries * width * d)
    fold_ms = max(perception_ms - vit_ms, 1e-3)
    add_row("fold into summaries (all but the tower)", fold_ms, rate(fold, fold_ms))
    summaries = perception.summarise(pixels)
    cut_ms = milliseconds(lambda: perception.tokens(None, summaries, (frames,)), device)
    add_row("gate, cubes and thumbnail", cut_ms, "")
    visual = perception.tokens(None, summaries, (frames,))
    written = prompt_of(qv, frames)
    merge_ms = milliseconds(lambda: merge_prompt(model, written, visual), device)
    prompt = merge_prompt(model, written, visual)
    add_row(f"merge into {len(prompt)} tokens", merge_ms, "")
    layers, length = config.text_config.num_hidden_layers, len(prompt)
    prefill = length * work.token_s + 2 * layers * length**2 * width
    prefill_ms = milliseconds(lambda: read_prefix(model, prompt, length - 1), device, runs)
    add_row("prefill", prefill_ms, rate(prefill, prefill_ms))
    prefix = read_prefix(model, prompt, length - 1)
    options = qv.generation(NEW_TOKENS, min_new_tokens=NEW_TOKENS)
    decode_ms = milliseconds(lambda: generate(model, [prompt], options, prefix), device, runs) / NEW_TOKENS
    weights = sum(p.numel() * p.element_size() for p in model.model.language_model.parameters())
    add_row("decode, a token", decode_ms, f"{weights / 1e9:.2f} GB of weights, {weights / decode_ms / 1e6:.0f} GB/s")
    return rows


@torch.inference_mode()
def attention(qv: Quicksviewer, size: Size) -> list[Row]:
    """Measure prefill with each backend of SDPA, and with flash-attn if it is installed."""
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from transformers.utils import is_flash_attn_2_available

    model, device = qv.model, qv.model.device
    length, width = size.tokens, model.config.text_config.hidden_size
    embeds = torch.randn(1, length, width, device=device, dtype=model.dtype)

    def read() -> None:
        model.model.language_model(inputs_embeds=embeds, use_cache=False)

    rows = []
    for backend in (
        SDPBackend.FLASH_ATTENTION,
        SDPBackend.EFFICIENT_ATTENTION,
        SDPBackend.CUDNN_ATTENTION,
        SDPBackend.MATH,
    ):
        try:
            with sdpa_kernel(backend):
                result = f"{milliseconds(read, device, 3):.1f} ms"
        except RuntimeError as error:
            result = f"cannot be used here: {str(error).splitlines()[0][:60]}"
        rows.append(Row("attention", f"SDPA {backend.name.lower()}, {length} tokens", result))
    result = "not installed"
    if is_flash_attn_2_available() and device.type == "cuda":
        model.set_attn_implementation("flash_attention_2")
        result = f"{milliseconds(read, device, 3):.1f} ms"
        model.set_attn_implementation("sdpa")
    return [*rows, Row("attention", f"flash_attention_2, {length} tokens", result)]


@torch.inference_mode()
def memory(qv: Quicksviewer, size: Size) -> list[Row]:
    """Measure the peak memory, without the weights, of one question on videos of several lengths."""
    device = qv.model.device
    if device.type != "cuda":
        return [Row("memory", "peak", "needs CUDA")]
    costs = UnitCosts.of(qv.model.config, frame_size=1, value_bytes=2)
    rows = []
    for frames in (8, 64, size.frames):
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        reply = qv.chat(clip_of(qv, frames), max_new_tokens=4)
        peak = torch.cuda.max_memory_allocated(device) - before
        kept = frames * costs.summary_bytes + 2 * reply.prompt_tokens * costs.cache_bytes
        rows.append(
            Row("memory", f"{frames} frames", f"{peak / 1e9:.2f} GB", f"{kept / 1e9:.2f} GB of summaries and cache")
        )
    return rows


SECTIONS: dict[str, Callable[[Quicksviewer, Size], list[Any]]] = {
    "stages": stages,
    "memory": memory,
    "attention": attention,
    "precision": precision,
    "device_map": device_maps,
    "bits": quantised,
    "out_of_memory": out_of_memory,
}


def run(names: list[str], device: torch.device, size: Size) -> list[Row]:
    """Run sections; one that fails gives a row with its error."""
    start = time.perf_counter()
    qv = make_model(size, device)
    synchronize(device)
    count = sum(parameter.numel() for parameter in qv.model.parameters())
    rows = [Row("build", f"{count / 1e9:.2f} B parameters, {qv.model.dtype}", f"{time.perf_counter() - start:.1f} s")]
    for name in tqdm(names, "Measuring", unit="section"):
        try:
            rows += [row if isinstance(row, Row) else Row(name, *row) for row in SECTIONS[name](qv, size)]
        except (RuntimeError, ImportError, ValueError) as error:
            rows.append(Row(name, "failed", f"{type(error).__name__}: {str(error).splitlines()[0][:120]}"))
        if device.type == "cuda":
            torch.cuda.empty_cache()
    return rows


def environment(device: torch.device) -> str:
    import transformers

    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or "CPU"
    return f"{name}, torch {torch.__version__}, CUDA {torch.version.cuda}, transformers {transformers.__version__}"


def main() -> None:
    """Run the selected sections, print the table and write it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", help="cuda, cuda:1 or cpu (default: cuda)")
    parser.add_argument("--size", choices=sorted(SIZES), default="7b", help="size of the model (default: 7b)")
    parser.add_argument("--only", default=",".join(SECTIONS), help="sections, separated by commas (default: all)")
    parser.add_argument("--output", type=Path, help="JSON file for the table (default: none)")
    options = parser.parse_args()
    names = options.only.split(",")
    if unknown := sorted(set(names) - SECTIONS.keys()):
        parser.error(f"--only: {unknown[0]} is unknown; use {', '.join(SECTIONS)}")
    device = torch.device(options.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        parser.error("--device cuda: torch finds no GPU; to try the script, use --device cpu --size tiny")
    rows = run(names, device, SIZES[options.size])
    print(f"\n{environment(device)}\n\n| section | what | measured | by arithmetic |\n|--|--|--|--|")
    for row in rows:
        print(f"| {row.section} | {row.what} | {row.measured} | {row.by_arithmetic} |")
    if options.output:
        table = {"environment": environment(device), "rows": [*map(asdict, rows)]}
        options.output.write_text(json.dumps(table, indent=1))


if __name__ == "__main__":
    main()
