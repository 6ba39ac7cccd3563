"""Recipe: the frozen settings of one training run. A part of the model is trained if it has a learning rate."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, TypeAdapter, ValidationError

from qsv_eval.model_adapters.errors import SetupError

__all__ = ["PARTS", "Batching", "Noise", "Optimiser", "Part", "Rates", "Recipe", "Start", "vary"]

Fraction = Annotated[float, Field(ge=0, le=1)]
Part = Literal["cubing", "resampler", "new_tokens", "vision_tower", "language_model"]
PARTS: tuple[Part, ...] = ("cubing", "resampler", "new_tokens", "vision_tower", "language_model")


@dataclass(frozen=True)
class Rates:
    """Peak learning rate of each part of the model; None freezes the part."""

    cubing: PositiveFloat | None = None
    """Gate and thumbnail."""
    resampler: PositiveFloat | None = None
    new_tokens: PositiveFloat | None = None
    """Embeddings of the tokens that Quicksviewer adds; unused if the language model is trained."""
    vision_tower: PositiveFloat | None = None
    language_model: PositiveFloat | None = None
    """Decoder, embeddings and head."""

    def of(self, part: Part) -> float | None:
        """Return the learning rate of a part."""
        rate: float | None = getattr(self, part)
        return rate


@dataclass(frozen=True)
class Noise:
    """Weight of the gate's Gumbel noise, annealed by half a cosine over the first `ratio` of the steps (Table 1)."""

    start: float = 1.0
    end: float = 0.01
    ratio: Fraction = 0.6

    def at(self, step: int, steps: int) -> float:
        """Return the weight at a step of a run of `steps` steps."""
        annealed_steps = self.ratio * steps
        if step >= annealed_steps:
            return self.end
        return self.end + (self.start - self.end) * (1 + math.cos(math.pi * step / annealed_steps)) / 2


@dataclass(frozen=True)
class Optimiser:
    """Optimizer, learning rate schedule and gradient clipping."""

    kind: Literal["adamw", "muon"] = "adamw"
    """`muon` uses Muon for the matrices of hidden layers and AdamW for the rest (see `optimizer.py`)."""
    schedule: Literal["cosine", "linear", "constant_with_warmup"] = "cosine"
    warmup: float = 0.02
    """Fraction of the steps, or from 1 on a number of steps."""
    weight_decay: float = 0.0
    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = 1e-8
    clip: float = 1.0


@dataclass(frozen=True)
class Batching:
    """Content of a step."""

    micro_batches: PositiveInt = 48
    """Forward passes per step over all processes; a multiple of their number, on which results do not depend."""
    tokens: PositiveInt = 16_384
    """Maximum cost of a micro-batch in language model tokens; a larger sample gets its own micro-batch."""
    frame_cost: float | None = None
    """Cost of encoding a frame by the vision tower, in tokens; None computes it from the sizes of the two models."""
    packed: bool = True
    """Concatenate the samples of a micro-batch instead of padding them."""
    epochs: PositiveInt = 1
    steps: PositiveInt | None = None
    """Exact number of steps, repeating the data if needed; None stops after `epochs`."""
    workers: NonNegativeInt = 4
    """Number of data worker processes per training process."""
    seed: int = 0


@dataclass(frozen=True)
class Start:
    """Starting weights: a Quicksviewer checkpoint, or for the first stage a language model and a vision tower."""

    checkpoint: str | None = None
    language_model: str | None = None
    vision_tower: str | None = None

    def __post_init__(self) -> None:
        """Check that the checkpoint and the pair of models exclude each other."""
        pair = (self.language_model, self.vision_tower)
        if self.checkpoint is not None and any(pair):
            raise SetupError("start: give start.checkpoint, or start.language_model and start.vision_tower, not both")
        if any(pair) and not all(pair):
            raise SetupError("start: give both start.language_model and start.vision_tower, or neither")


@dataclass(frozen=True)
class Recipe:
    """Settings of one training run."""

    name: str
    rates: Rates
    start: Start = field(default_factory=Start)
    mixture: str = ""
    """A YAML file, or the reference's `path#start_end*times;…` (see `data/mixture.py`)."""
    noise: Noise = field(default_factory=Noise)
    optimiser: Optimiser = field(default_factory=Optimiser)
    batching: Batching = field(default_factory=Batching)
    model: Mapping[str, Any] = field(default_factory=dict)
    """Changes of the model's configuration, such as `gate_centred`."""
    thumbnails_only: Fraction = 0.0
    """Fraction of the video samples that show only the thumbnail, which strengthens the gate's training signal
    (docs/training.md)."""
    max_frames: PositiveInt = 420
    fps: PositiveFloat = 1.0
    max_length: PositiveInt = 16_384
    """Maximum length of a sample in tokens, visual tokens included; longer samples are skipped and counted."""
    dtype: Literal["float32", "bfloat16"] = "bfloat16"
    """Data type of the computation; trained parameters are kept in float32."""
    attention: str | None = None
    """Attention of language model and vision tower: `flash_attention_2`, `sdpa`, `eager` or `segmented`. None is
    `segmented` (`packed_attention.py`) for packed samples, and transformers' default otherwise."""
    checkpointing: bool = True
    """Recompute activations in the backward pass (gradient checkpointing)."""
    sharded: bool = False
    """Shard weights, gradients and optimizer state over the processes (FSDP2)."""
    chunk_frames: PositiveInt = 16
    """Number of frames encoded at once by the vision tower."""
    broken_share: Fraction = 0.01
    """Maximum fraction of unusable samples; above it the run stops."""
    save_every: PositiveInt = 500
    """Steps between checkpoints."""
    keep: PositiveInt = 3
    """Number of checkpoints to keep."""
    log_every: PositiveInt = 1
    """Steps between log lines."""
    evaluate_every: PositiveInt | None = None
    """Steps between evaluations on generated clips that are not in the training data; None never evaluates."""

    def max_broken(self, samples: int) -> float:
        """Return the allowed number of unusable samples among `samples`."""
        return max(_MIN_BROKEN, self.broken_share * samples)


_MIN_BROKEN = 20
"""Number of unusable samples that is always allowed, because a few say nothing about the fraction."""


def vary(recipe: Recipe, assignments: Sequence[str]) -> Recipe:
    """Return the recipe with `key=value` changes, such as `rates.cubing=2e-4` or `max_frames=480`.

    Raises:
        SetupError: a key does not exist, or a value is invalid.
    """
    values = asdict(recipe)
    start_keys = {key for key in (item.partition("=")[0].strip() for item in assignments) if key.startswith("start.")}
    if start_keys == {"start.checkpoint"}:  # replaces the recipe's language model and vision tower
        values["start"] = {}
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals:
            raise SetupError(f"recipe: {assignment!r} is not of the form key=value")
        _assign(values, recipe, key.strip().split("."), text.strip())
    try:
        varied: Recipe = TypeAdapter(Recipe).validate_python(values)
    except ValidationError as error:
        problems = (f"{'.'.join(map(str, item['loc']))}: {item['msg']} ({item['input']!r})" for item in error.errors())
        raise SetupError("recipe: " + "; ".join(problems)) from error
    return varied


def _assign(values: dict[str, Any], settings: Any, path: Sequence[str], text: str) -> None:
    head, *rest = path
    if is_dataclass(settings):
        names = [item.name for item in fields(settings)]
        if head not in names:
            raise SetupError(f"recipe: unknown key {head!r}; known are {', '.join(names)}")
        inner = getattr(settings, head)
    else:
        inner = values.get(head)
    if not rest:
        none = text.lower() == "none"
        if not is_dataclass(settings):
            values[head] = _model_value(head, None if none else yaml.safe_load(text))
        elif isinstance(inner, tuple):
            values[head] = yaml.safe_load(text)
        else:  # pydantic converts the text when the recipe is validated
            values[head] = None if none else text
    elif is_dataclass(inner) or isinstance(inner, Mapping):
        _assign(values[head], inner, rest, text)
    else:
        raise SetupError(f"recipe: {head!r} is a single value, so {'.'.join(path)!r} does not exist")


def _model_value(key: str, value: Any) -> Any:
    """Convert a value to the type of the model's configuration: 0 and `1e-3` become floats for a float field."""
    from qsv_eval.model_adapters.quicksviewer import QuicksviewerConfig

    kinds = QuicksviewerConfig.__annotations__
    if key not in kinds:
        raise SetupError(f"recipe: unknown key model.{key}; known are {', '.join(kinds)}")
    try:
        return TypeAdapter(kinds[key]).validate_python(value)
    except ValidationError as error:
        raise SetupError(f"recipe: model.{key}: {error.errors()[0]['msg']} ({value!r})") from error
