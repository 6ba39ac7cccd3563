"""Content of a generated clip: scenes of one moving shape on a plain background, joined by hard cuts.

`make_clip(split, index)` draws the whole clip from a seed, so a clip needs no storage: its id is its recipe. The splits
own disjoint branches of one seed tree, so nothing trained on `train` has seen a clip of `demo`.

Times are in seconds, positions and lengths in fractions of the frame's side. "Sampled frames" are those that the
evaluation reads at 1 fps, at the middle of every second.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

__all__ = [
    "BRIEF_FRAMES",
    "COLOURS",
    "DIRECTIONS",
    "DURATIONS",
    "FPS",
    "SHAPES",
    "SPLITS",
    "ClipSpec",
    "Scene",
    "clip_from_id",
    "clip_rng",
    "make_clip",
    "max_cuts",
]

SPLITS: Final = ("demo", "train", "val")
"""Their order is part of the seed: append, never reorder."""

COLOURS: Final = ("red", "green", "blue", "yellow", "purple", "cyan", "white", "black")
SHAPES: Final = ("circle", "square", "triangle", "cross", "ring")
DIRECTIONS: Final = ("up", "down", "left", "right")
DURATIONS: Final = ("short", "medium", "long")

FPS: Final = 8
"""Frames a second of the encoded clip: the fewest that hold both mid-second instants and cuts off whole seconds."""

BRIEF_FRAMES: Final = 2
"""A scene of at most so many sampled frames is brief: a fixed-length cube is likely to blur it with its neighbours."""

_SIZE_PX: Final = 160
_SEED: Final = 20_251_122
_LENGTHS_S: Final = {"short": (12, 20), "medium": (24, 40), "long": (44, 70)}

# Scene counts by duration class, walked through in order as the index grows. Over a full round (84 clips) the counts
# 2, 3, 4, 5, 6 occur 11, 21, 21, 21 and 10 times: just what "how many scenes" needs for the answer to be equally
# likely to be any of its four options, {2,3,4,5} or {3,4,5,6}. The order is one shuffle, kept literal to be stable.
_SCENE_COUNTS: Final = {
    "short": (2, 3, 4, 4, 3, 2, 3, 4, 4, 2, 4, 3, 2, 4, 2, 3, 4, 3, 3, 4, 3, 4, 3, 2, 4, 3, 2, 3),
    "medium": (4, 3, 5, 6, 5, 5, 3, 6, 2, 5, 6, 6, 4, 5, 4, 4, 3, 3, 5, 2, 5, 4, 5, 6, 3, 5, 3, 4),
    "long": (4, 3, 6, 5, 3, 2, 5, 5, 4, 5, 2, 5, 4, 4, 5, 6, 6, 5, 6, 6, 5, 5, 3, 5, 5, 3, 5, 4),
}


@dataclass(frozen=True)
class Scene:
    """One shape on one background, moving steadily in one direction and wrapping around the frame's edges."""

    shape: str
    colour: str
    background: str
    direction: str
    start_s: float
    end_s: float
    x: float
    """Centre of the shape at the scene's first sampled instant, fraction of the width from the left."""
    y: float
    """The same, fraction of the height from the top."""
    radius: float
    """Half the shape's extent, fraction of the side."""
    speed: float
    """Fractions of the side per second."""

    @property
    def first_sampled(self) -> int:
        """Index of the first sampled frame that shows this scene."""
        return round(self.start_s)

    @property
    def n_sampled(self) -> int:
        """Number of sampled frames that show this scene."""
        return round(self.end_s) - round(self.start_s)

    @property
    def is_brief(self) -> bool:
        """Whether at most `BRIEF_FRAMES` sampled frames show this scene."""
        return self.n_sampled <= BRIEF_FRAMES


@dataclass(frozen=True)
class ClipSpec:
    """All that a clip is: `draw.py` turns it into pixels and `questions.py` into questions."""

    split: str
    index: int
    duration: str
    """Class: short, medium or long."""
    scenes: tuple[Scene, ...]
    size_px: int = _SIZE_PX
    """Side of the square frame; `dataclasses.replace` it to draw the same clip smaller."""
    fps: int = FPS

    @property
    def clip_id(self) -> str:
        """The name that `clip_from_id` reads back, such as `demo-0007`."""
        return f"{self.split}-{self.index:04d}"

    @property
    def duration_s(self) -> int:
        """Length in seconds, which is also the number of sampled frames."""
        return round(self.scenes[-1].end_s)

    @property
    def cuts(self) -> tuple[int, ...]:
        """Index of the first sampled frame of every scene but the first."""
        return tuple(scene.first_sampled for scene in self.scenes[1:])

    def scene_at(self, t_s: float) -> Scene:
        """Return the scene shown at an instant in [0, duration_s)."""
        for scene in self.scenes:
            if scene.start_s <= t_s < scene.end_s:
                return scene
        raise ValueError(f"{self.clip_id}: {t_s} s is outside the clip's 0 to {self.duration_s} s")

    def sampled_scenes(self) -> Iterator[int]:
        """Yield, for every sampled frame in order, the index of the scene that it shows."""
        for position, scene in enumerate(self.scenes):
            yield from [position] * scene.n_sampled


def max_cuts(n_sampled: int) -> int:
    """Return how many cuts the cubing network makes among n sampled frames (five frames a cube, half to even)."""
    return max(round(n_sampled / 5) - 1, 1)


def clip_rng(split: str, index: int, purpose: int = 0) -> np.random.Generator:
    """Return a generator of one clip: of its drawing (purpose 0), its questions (1) or its split's letters (2)."""
    if split not in SPLITS:
        raise ValueError(f"unknown split {split!r}: expected one of {SPLITS}")
    return np.random.default_rng(np.random.SeedSequence(_SEED, spawn_key=(SPLITS.index(split), index, purpose)))


def make_clip(split: str, index: int) -> ClipSpec:
    """Draw clip number `index` of a split; durations alternate with the index, so a prefix of a split is balanced."""
    rng = clip_rng(split, index)
    duration = DURATIONS[index % len(DURATIONS)]
    counts = _SCENE_COUNTS[duration]
    n_scenes = counts[index // len(DURATIONS) % len(counts)]
    shortest, longest = _LENGTHS_S[duration]
    n_sampled = int(rng.choice([n for n in range(shortest, longest + 1) if max_cuts(n) >= n_scenes - 1]))
    edges_s = _edges_s(rng, _scene_lengths(rng, n_scenes, n_sampled))
    return ClipSpec(split, index, duration, _scenes(rng, edges_s))


def clip_from_id(clip_id: str) -> ClipSpec:
    """Draw the clip that has this id."""
    split, _, number = clip_id.partition("-")
    if split not in SPLITS or not number.isdecimal():
        raise ValueError(f"{clip_id!r} is no clip id: expected one like 'demo-0007', with a split of {SPLITS}")
    return make_clip(split, int(number))


def _scene_lengths(rng: np.random.Generator, n_scenes: int, n_sampled: int) -> list[int]:
    """Draw very uneven scene lengths, a quarter to a half of them brief, with no cut at a multiple of five frames."""
    while True:
        n_brief = int(rng.integers(n_scenes // 4, n_scenes // 2, endpoint=True))
        brief = rng.integers(1, BRIEF_FRAMES, n_brief, endpoint=True)
        floor = np.full(n_scenes - n_brief, BRIEF_FRAMES + 1)
        spare = n_sampled - int(brief.sum()) - int(floor.sum())
        rest = floor + rng.multinomial(spare, rng.dirichlet(np.ones(n_scenes - n_brief)))
        lengths = rng.permutation(np.concatenate([brief, rest]))
        # Equal cubes cut at multiples of five: there they must never be right by luck.
        if np.all(np.cumsum(lengths)[:-1] % 5):
            return [int(length) for length in lengths]


def _edges_s(rng: np.random.Generator, lengths: list[int]) -> list[float]:
    """Return the scenes' edges: whole seconds, the cuts moved by up to 0.25 s (2 frames) so that no cut is regular."""
    ends = np.cumsum(lengths)
    offsets = rng.integers(-2, 2, len(lengths) - 1, endpoint=True) / FPS
    return [0.0, *(float(cut) for cut in ends[:-1] + offsets), float(ends[-1])]


def _scenes(rng: np.random.Generator, edges_s: list[float]) -> tuple[Scene, ...]:
    n_scenes = len(edges_s) - 1
    backgrounds, colours = _palettes(rng, n_scenes)
    scenes = []
    for position, (start_s, end_s) in enumerate(pairwise(edges_s)):
        # Near the middle at the first sampled instant, so a scene of one frame shows its shape whole.
        x, y = rng.uniform(0.38, 0.62, 2)
        scenes.append(
            Scene(
                shape=str(rng.choice(SHAPES)),
                colour=colours[position],
                background=backgrounds[position],
                direction=str(rng.choice(DIRECTIONS)),
                start_s=start_s,
                end_s=end_s,
                x=float(x),
                y=float(y),
                radius=float(rng.uniform(0.23, 0.29)),
                # Below half a side per sampled frame, or a wrapped step to the left would look like one to the right.
                speed=float(rng.uniform(0.17, 0.25)),
            )
        )
    return tuple(scenes)


def _palettes(rng: np.random.Generator, n_scenes: int) -> tuple[list[str], list[str]]:
    """Draw backgrounds and shape colours, each without repeats: every cut is plain, every colour names one scene."""
    while True:
        backgrounds = [str(name) for name in rng.permutation(COLOURS)[:n_scenes]]
        colours = [str(name) for name in rng.permutation(COLOURS)[:n_scenes]]
        if all(background != colour for background, colour in zip(backgrounds, colours, strict=True)):
            return backgrounds, colours
