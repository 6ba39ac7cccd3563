"""What one training run is: frozen settings, made by functions (`stages.py`) and varied by `dataclasses.replace`.

A part of the model trains when it has a learning rate; nothing else decides it.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, TypeAdapter, ValidationError

from qsv_eval.model_adapters.errors import SetupError

__all__ = ["PARTS", "Batching", "Noise", "Optimiser", "Part", "Rates", "Recipe", "Start", "vary"]

Share = Annotated[float, Field(ge=0, le=1)]
Part = Literal["cubing", "resampler", "new_tokens", "vision_tower", "language_model"]
PARTS: tuple[Part, ...] = ("cubing", "resampler", "new_tokens", "vision_tower", "language_model")


@dataclass(frozen=True)
class Rates:
    """Peak learning rate of each part; None leaves it as it is."""

    cubing: PositiveFloat | None = None
    """Gate and thumbnail."""
    resampler: PositiveFloat | None = None
    new_tokens: PositiveFloat | None = None
    """Only the embeddings of the tokens that Quicksviewer adds; nothing where the language model trains anyway."""
    vision_tower: PositiveFloat | None = None
    language_model: PositiveFloat | None = None
    """With its embeddings and head."""

    def of(self, part: Part) -> float | None:
        """Return the rate of a part."""
        rate: float | None = getattr(self, part)
        return rate


@dataclass(frozen=True)
class Noise:
    """How the weight of the gate's Gumbel noise falls: half a cosine over the first `ratio` of the steps (spec 1.3)."""

    start: float = 1.0
    end: float = 0.01
    ratio: Share = 0.6

    def at(self, step: int, steps: int) -> float:
        """Return the weight at a step of so many."""
        reach = self.ratio * steps
        if step >= reach:
            return self.end
        return self.end + (self.start - self.end) * (1 + math.cos(math.pi * step / reach)) / 2


@dataclass(frozen=True)
class Optimiser:
    """The optimizer, its schedule and the clipping of gradients."""

    kind: Literal["adamw", "muon"] = "adamw"
    """`muon` moves the matrices of hidden layers by Muon, and the rest by AdamW (see `optimiser.py`)."""
    schedule: Literal["cosine", "linear", "constant_with_warmup"] = "cosine"
    warmup: float = 0.02
    """Share of the steps, or from 1 on a number of steps."""
    weight_decay: float = 0.0
    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = 1e-8
    clip: float = 1.0


@dataclass(frozen=True)
class Batching:
    """What goes into one step."""

    micro_batches: PositiveInt = 48
    """Forward passes of a step over all processes, which must divide it; results do not depend on how many they are."""
    tokens: PositiveInt = 16_384
    """Cost of a micro-batch at the most, in tokens of the language model; a sample that is larger stands alone."""
    frame_cost: float | None = None
    """What the vision tower's work on a frame costs, in tokens; None works it out from the sizes of the two."""
    packed: bool = True
    """Samples of a micro-batch one behind the other, instead of side by side and padded."""
    epochs: PositiveInt = 1
    steps: PositiveInt | None = None
    """Stop after so many steps, or go round again until then; None ends with the epochs."""
    workers: NonNegativeInt = 4
    """Processes that read and decode samples ahead."""
    seed: int = 0


@dataclass(frozen=True)
class Start:
    """What a run starts from: a Quicksviewer checkpoint, or for the first stage its two halves."""

    checkpoint: str | None = None
    language_model: str | None = None
    vision_tower: str | None = None

    def __post_init__(self) -> None:
        """Check that it is one of the two."""
        halves = (self.language_model, self.vision_tower)
        if self.checkpoint is not None and any(halves):
            raise SetupError("start: give start.checkpoint, or start.language_model and start.vision_tower, not both")
        if any(halves) and not all(halves):
            raise SetupError("start: start.language_model and start.vision_tower belong together")


@dataclass(frozen=True)
class Recipe:
    """One training run."""

    name: str
    rates: Rates
    start: Start = field(default_factory=Start)
    mixture: str = ""
    """A YAML file, or the reference's `path#start_end*times;…` (see `data/mixture.py`)."""
    noise: Noise = field(default_factory=Noise)
    optimiser: Optimiser = field(default_factory=Optimiser)
    batching: Batching = field(default_factory=Batching)
    model: Mapping[str, Any] = field(default_factory=dict)
    """Values of the model's configuration to change, such as `gate_centred`."""
    thumbnails_only: Share = 0.0
    """Share of the samples with a video of which only the thumbnail is shown. Through it alone the gate learns, and
    where the cubes say the same that is a weak signal (docs/training.md)."""
    max_frames: PositiveInt = 420
    fps: PositiveFloat = 1.0
    max_length: PositiveInt = 16_384
    """Longest sample in tokens, visual ones included; a longer one is left out and counted."""
    dtype: Literal["float32", "bfloat16"] = "bfloat16"
    """Of the arithmetic; what is trained is kept in float32."""
    attention: str | None = None
    """Of the language model and the tower: `flash_attention_2`, `sdpa`, `eager` or `segmented` (`segments.py`). None is
    `segmented` where samples are packed, and else what transformers takes."""
    checkpointing: bool = True
    """Compute activations again in the backward pass instead of keeping them."""
    sharded: bool = False
    """Spread weights, gradients and the optimizer's state over the processes (FSDP2)."""
    chunk_frames: PositiveInt = 16
    """Frames that go through the vision tower at once."""
    broken_share: Share = 0.01
    """Stop when more of the samples than this could not be read."""
    save_every: PositiveInt = 500
    keep: PositiveInt = 3
    """Checkpoints."""
    log_every: PositiveInt = 1
    evaluate_every: PositiveInt | None = None
    """Steps between trials on clips drawn for it, whose questions and cuts the model has not seen."""

    def may_be_broken(self, samples: int) -> float:
        """Return how many of so many samples may be broken: a few whatever share they are."""
        return max(_FEW_BROKEN, self.broken_share * samples)


_FEW_BROKEN = 20
"""Of so many nothing can be said about their share yet."""


def vary(recipe: Recipe, assignments: Sequence[str]) -> Recipe:
    """Return the recipe with `key=value` changes; a dot reaches into a part: `rates.cubing=2e-4`, `max_frames=480`.

    Raises:
        SetupError: a key that does not exist, or a value that does not fit, naming both.
    """
    values = asdict(recipe)
    of_start = {key.strip() for key, *_ in (one.partition("=") for one in assignments) if key.startswith("start.")}
    if of_start == {"start.checkpoint"}:  # instead of the two halves that a recipe begins from
        values["start"] = {}
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals:
            raise SetupError(f"recipe: {assignment!r} is not of the form key=value")
        _assign(values, recipe, key.strip().split("."), text.strip())
    try:
        varied: Recipe = TypeAdapter(Recipe).validate_python(values)
    except ValidationError as error:
        problems = (f"{'.'.join(map(str, one['loc']))}: {one['msg']} ({one['input']!r})" for one in error.errors())
        raise SetupError("recipe: " + "; ".join(problems)) from error
    return varied


def _assign(values: dict[str, Any], of: Any, path: Sequence[str], text: str) -> None:
    head, *rest = path
    if is_dataclass(of):
        names = [one.name for one in fields(of)]
        if head not in names:
            raise SetupError(f"recipe: there is no {head!r}; known are {', '.join(names)}")
        inner = getattr(of, head)
    else:
        inner = values.get(head)
    if not rest:
        none = text.lower() == "none"
        if not is_dataclass(of):
            values[head] = _model_value(head, None if none else yaml.safe_load(text))
        elif isinstance(inner, tuple):
            values[head] = yaml.safe_load(text)
        else:  # what a field holds is known when the recipe is validated
            values[head] = None if none else text
    elif is_dataclass(inner) or isinstance(inner, Mapping):
        _assign(values[head], inner, rest, text)
    else:
        raise SetupError(f"recipe: {head!r} has no parts, so {'.'.join(path)!r} means nothing")


def _model_value(key: str, value: Any) -> Any:
    """Return a value as the model's configuration wants it: 0 and `1e-3` are numbers where it holds a float."""
    from qsv_eval.model_adapters.quicksviewer import QuicksviewerConfig

    kinds = QuicksviewerConfig.__annotations__
    if key not in kinds:
        raise SetupError(f"recipe: the model's configuration has no {key!r}; known are {', '.join(kinds)}")
    try:
        return TypeAdapter(kinds[key]).validate_python(value)
    except ValidationError as error:
        raise SetupError(f"recipe: model.{key}: {error.errors()[0]['msg']} ({value!r})") from error
