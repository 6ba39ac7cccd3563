"""Data of quicksviewer-tiny as packed shards: texts, single scenes, and clips, each drawn from a seed.

Clips come from the `train` split, whose seeds the benchmark's `demo` split shares none of. Frames are drawn at the
size of the benchmark's clips and brought to the model's size as those are.
"""

import json
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from PIL import Image
from tqdm import tqdm

from qsv_eval.demo.draw import frame_at, sampled_frames, sampled_instants_s
from qsv_eval.demo.scene import ClipSpec, make_clip
from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.tiny.text_data import (
    binding_sample,
    clip_turns,
    glimpse_turns,
    list_turns,
    motion_turns,
    retold_sample,
    story_sample,
    view_turns,
)
from qsv_eval.training.data.shards import Shard, ShardWriter, jpeg

__all__ = ["PackedClip", "Sampler", "pack", "samplers"]

SHOWN_SHARE: Final = 0.5
"""Share of brief clips whose question is about what is shown."""
LIST_SHARE: Final = 0.3
"""Before the questions on how many clips stands a list of the scenes."""

_BLOCK = 250
"""Samples of a shard."""


class PackedClip(NamedTuple):
    """A sample to be written."""

    sample: dict[str, Any]
    pictures: list[bytes]


Sampler = Callable[[int], PackedClip]
"""Draws a sample from its number."""


def text_sample(number: int) -> PackedClip:
    """Return one text: a fifth bind words to letters, two fifths tell a clip twice, the others ask about a told one.

    Most have a single question: what a word belongs to is learned in short texts, and not in long ones.
    """
    rng = np.random.default_rng((1, number))
    turns = int(rng.choice([1, 1, 1, 4]))
    if number % 5 == 0:
        return PackedClip(binding_sample(rng, turns), [])
    spec = make_clip("train", int(rng.integers(1_000_000, 2_000_000)))
    told = replace(spec, scenes=spec.scenes[: int(rng.integers(2, len(spec.scenes) + 1))])
    if number % 5 < 3:
        return PackedClip(retold_sample(told, rng), [])
    return PackedClip(story_sample(told, rng, turns), [])


def letter_sample(number: int) -> PackedClip:
    """Return one question that says its answer: a third of them in few words, which are learned first."""
    rng = np.random.default_rng((4, number))
    return PackedClip(binding_sample(rng, turns=1, words=(10, 20, None)[number % 3]), [])


def glimpse_sample(number: int, side: int) -> PackedClip:
    """Return a scene with one question: every other a single frame of it as an image, the others its first two to four.

    Of more, a shape that wraps around the edge is everywhere.
    """
    rng = np.random.default_rng((2, number))
    spec = make_clip("train", int(rng.integers(1_000_000, 2_000_000)))
    if number % 2:
        brief = _beginning(spec, rng)
        return _shown(f"glimpse-{number}", brief, glimpse_turns(brief.scenes[0], rng, moving=True), side)
    t_s = float(rng.choice(sampled_instants_s(spec)))
    turns = glimpse_turns(spec.scene_at(t_s), rng, moving=False)
    return PackedClip({"image": "0", "conversations": turns}, [_small(frame_at(spec, t_s), side)])


def motion_sample(number: int, side: int) -> PackedClip:
    """Return the first frames of a scene and the question which way its shape moves.

    Among others this question is one word in thirty, and is not learned in 600 steps.
    """
    rng = np.random.default_rng((6, number))
    brief = _beginning(make_clip("train", int(rng.integers(1_000_000, 2_000_000))), rng)
    return _shown(f"motion-{number}", brief, motion_turns(brief.scenes[0]), side)


def _beginning(spec: ClipSpec, rng: np.random.Generator) -> ClipSpec:
    scene = replace(spec.scenes[0], start_s=0.0, end_s=float(rng.integers(2, 5)))
    return replace(spec, scenes=(scene,))


def brief_sample(number: int, side: int) -> PackedClip:
    """Return two scenes of a few frames each, with questions: three times as many scenes a frame as in whole clips."""
    rng = np.random.default_rng((5, number))
    spec = make_clip("train", int(rng.integers(2_000_000, 3_000_000)))
    first = int(rng.integers(len(spec.scenes) - 1))
    cut, end = np.cumsum(rng.integers(2, 5, 2)).astype(float).tolist()
    one, two = spec.scenes[first : first + 2]
    brief = replace(spec, scenes=(replace(one, start_s=0.0, end_s=cut), replace(two, start_s=cut, end_s=end)))
    turns = view_turns(brief.scenes) if rng.random() < SHOWN_SHARE else clip_turns(brief, rng, 2)
    return _shown(f"brief-{number}", brief, turns, side)


def clip_sample(number: int, side: int, questions: int) -> PackedClip:
    """Return a clip with questions."""
    rng = np.random.default_rng((3, number))
    spec = make_clip("train", number)
    turns = clip_turns(spec, rng, questions)
    if rng.random() < LIST_SHARE:
        turns = list_turns(spec.scenes) + turns
    return _shown(spec.clip_id, spec, turns, side)


def view_sample(number: int, side: int) -> PackedClip:
    """Return a clip and what its scenes show, but for their motion.

    From this the gate learns to cut. A thumbnail that misses a scene cannot tell what it shows; which way a shape
    moves, any frame tells better than a scene's first, and the gate would learn to cut anywhere else.
    """
    spec = make_clip("train", number)
    return _shown(f"view-{number}", spec, view_turns(spec.scenes), side)


def _shown(uid: str, spec: ClipSpec, turns: list[dict[str, str]], side: int) -> PackedClip:
    sample = {
        "uid": uid,
        "video": uid,
        "timestamps": sampled_instants_s(spec),
        "conversations": turns,
    }
    return PackedClip(sample, [_small(frame_HWC, side) for frame_HWC in sampled_frames(spec)])


def samplers(side: int, questions: int) -> Mapping[str, Sampler]:
    """Return the samplers of all kinds of data of the course, by name.

    Args:
        side: of the frames, in pixels.
        questions: on each clip of `clips`.
    """
    return {
        "letters": letter_sample,
        "texts": text_sample,
        "glimpses": partial(glimpse_sample, side=side),
        "motion": partial(motion_sample, side=side),
        "brief": partial(brief_sample, side=side),
        "views": partial(view_sample, side=side),
        "clips": partial(clip_sample, side=side, questions=questions),
    }


def pack(folder: Path, samples: int, sampler: Sampler) -> Path:
    """Draw so many samples into shards; what is there already is kept, and what is more than that removed.

    Raises:
        SetupError: what is there was drawn otherwise, naming the shard.
    """
    number = -(-samples // _BLOCK)
    for shard in sorted(folder.glob("shard-*.tar"))[number:]:  # of a course of more samples
        shard.unlink()
    blocks = [block for block in range(number) if not _is_drawn(folder, block, samples, sampler)]
    with ProcessPoolExecutor() as pool:
        written = pool.map(_write_block, ((folder, block, samples, sampler) for block in blocks))
        for _ in tqdm(written, total=len(blocks), desc=f"drawing {folder.name}", disable=not blocks):
            pass
    return folder


def _is_drawn(folder: Path, block: int, samples: int, sampler: Sampler) -> bool:
    """Tell whether a shard is there and whole; its first sample tells how it was drawn."""
    path = folder / f"shard-{block:06d}.tar"
    if not path.is_file():
        return False
    shard, numbers = Shard(path), _numbers(block, samples)
    if len(shard) != len(numbers):
        return False
    if json.loads(shard.line(0)) != json.loads(json.dumps(sampler(numbers[0]).sample)):
        raise SetupError(
            f"{path}: was drawn otherwise, with another number of questions or by another version, and what was "
            "learned from it is not what this course would learn; give another --output"
        )
    return True


def _write_block(job: tuple[Path, int, int, Sampler]) -> None:
    folder, block, samples, sampler = job
    with ShardWriter(folder, first=block) as writer:
        for number in _numbers(block, samples):
            writer.write(*sampler(number))


def _numbers(block: int, samples: int) -> range:
    return range(block * _BLOCK, min((block + 1) * _BLOCK, samples))


def _small(frame_HWC: np.ndarray, side: int) -> bytes:
    return jpeg(np.asarray(Image.fromarray(frame_HWC).resize((side, side), Image.Resampling.BICUBIC)))
