"""The training dataset and its collator: samples are read, tokenised, labelled and collated into micro-batches.

A sample that cannot be used is skipped and counted, with its location and the reason; nothing replaces it.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from qsv_eval.model_adapters.errors import MediaError
from qsv_eval.model_adapters.plurals import counted
from qsv_eval.model_adapters.quicksviewer.merge_inputs import IGNORED
from qsv_eval.model_adapters.quicksviewer.messages import DecodedImage
from qsv_eval.model_adapters.quicksviewer.padding import pad_rows
from qsv_eval.model_adapters.quicksviewer.processing import QuicksviewerProcessor
from qsv_eval.model_adapters.quicksviewer.prompt_tokens import PromptTokens
from qsv_eval.training.data.batches import SampleDraw
from qsv_eval.training.data.cost import Sizing
from qsv_eval.training.data.mixture import Mixture
from qsv_eval.training.data.readers import RawSample
from qsv_eval.training.data.sample import BadSample, Turn

__all__ = ["Batch", "ModelSample", "SkippedSample", "TrainingSamples", "collate", "collate_arrays", "to_tensors"]

Batch = dict[str, Any]
"""Keyword arguments of the model, `uniform_G2` for the gate's noise, `samples` (a count), and `skipped` (reasons)."""


class SkippedSample(NamedTuple):
    """A sample that cannot be used."""

    reason: str


class ModelSample(NamedTuple):
    """A sample as model inputs."""

    tokens: PromptTokens
    labels: list[int]
    tiles_PCHW: Tensor | None
    frames_TCHW: Tensor | None
    uniform_G2: Tensor
    """Uniform random numbers for the gate's noise, one pair for each gap between frames."""


class TrainingSamples(Dataset[ModelSample | SkippedSample]):
    """The samples of a mixture, indexed by `SampleDraw`."""

    def __init__(
        self,
        mixture: Mixture,
        processor: QuicksviewerProcessor,
        sizing: Sizing,
        max_length: int,
        seed: int,
        thumbnails_only: float = 0.0,
    ) -> None:
        self.mixture, self.processor, self.sizing = mixture, processor, sizing
        self.max_length, self.seed, self.thumbnails_only = max_length, seed, thumbnails_only

    def __len__(self) -> int:
        return len(self.mixture)

    def __getitem__(self, draw: SampleDraw) -> ModelSample | SkippedSample:
        try:
            raw = self.mixture.read(draw.sample)
        except (BadSample, OSError) as error:
            return SkippedSample(str(error))
        try:
            return self._prepare(raw, draw)
        except (BadSample, MediaError, OSError, ValueError) as error:
            return SkippedSample(f"{raw.location}: {error}")

    def _prepare(self, raw: RawSample, draw: SampleDraw) -> ModelSample:
        turns = raw.sample.turns(draw.serial)
        used = sorted({segment.image for turn in turns for segment in turn.segments if segment.kind == "image"})
        images = raw.images() if used else []
        tiles, media = None, dict[str, Any]()
        if used:
            pixels = self.processor.image_processor.preprocess([images[index] for index in used])
            tiles = pixels["pixel_values"]
            counts = zip(used, pixels["tile_counts"].tolist(), strict=True)
            media = {f"image{index}": DecodedImage(count) for index, count in counts}
        frames = None
        if any(segment.kind == "video" for turn in turns for segment in turn.segments):
            video = raw.video()
            media["video"] = video.without_pixels()
            frames = self.processor.video_processor.preprocess([video.frames_THWC])["pixel_values_videos"]
        tokens, loss_mask = self.processor.learning_tokens([_message(turn, media) for turn in turns])
        if not any(loss_mask):
            raise BadSample("the assistant says nothing, so there is nothing to learn")
        self._check_length(tokens, 0 if frames is None else len(frames))
        labels = [id_ if keep else IGNORED for id_, keep in zip(tokens.input_ids, loss_mask, strict=True)]
        gaps = 0 if frames is None else max(len(frames) - 1, 0)
        rng = np.random.default_rng((self.seed, draw.serial))
        uniform = rng.random((gaps, 2), np.float32)
        if gaps and rng.random() < self.thumbnails_only:
            tokens, labels = _without_cubes(tokens, labels)
        return ModelSample(tokens, labels, tiles, frames, torch.from_numpy(uniform))

    def _check_length(self, tokens: PromptTokens, frames: int) -> None:
        """Raise for a sample whose estimated length after merging exceeds the limit; the gate decides the exact one."""
        placeholder: Any = self.processor.image_token_id
        outside = [id_ for id_, frame in zip(tokens.input_ids, tokens.frame_ids, strict=True) if frame < 0]
        length = len(outside) + (self.sizing.queries - 1) * outside.count(placeholder)
        if frames:
            times = (len(tokens.input_ids) - len(outside)) / frames
            length += round(self.sizing.cube_rule.cubes(frames) * (times + self.sizing.queries - 1))
        if length > self.max_length:
            raise BadSample(f"has about {counted(length, 'token')}, more than max_length {self.max_length}")


def _without_cubes(tokens: PromptTokens, labels: list[int]) -> tuple[PromptTokens, list[int]]:
    """Remove the tokens of all frames, so that only the thumbnail shows the video."""
    kept = [i for i, frame in enumerate(tokens.frame_ids) if frame < 0]
    return PromptTokens(*([column[i] for i in kept] for column in tokens)), [labels[i] for i in kept]


def _message(turn: Turn, media: dict[str, Any]) -> dict[str, Any]:
    """Return a turn as a message for the processor, without separators between its parts."""
    parts: list[dict[str, Any]] = []
    for segment in turn.segments:
        if segment.kind == "text":
            parts.append({"type": "text", "text": segment.text})
        else:
            key = "video" if segment.kind == "video" else f"image{segment.image}"
            parts.append({"type": segment.kind, segment.kind: media[key]})
    return {"role": turn.role, "content": parts, "glued": True}


def collate(samples: Sequence[ModelSample | SkippedSample], pad_id: int) -> Batch:
    """Make a micro-batch; if all its samples were skipped, it is one padding token without labels."""
    skipped = [sample.reason for sample in samples if isinstance(sample, SkippedSample)]
    kept = [sample for sample in samples if isinstance(sample, ModelSample)]
    if not kept:
        return _empty(pad_id) | {"skipped": skipped, "samples": 0}
    rows, frames = [], 0
    for sample in kept:
        shifted = [frame + frames if frame >= 0 else -1 for frame in sample.tokens.frame_ids]
        rows.append(sample.tokens._replace(frame_ids=shifted))
        frames += 0 if sample.frames_TCHW is None else len(sample.frames_TCHW)
    labels = [torch.tensor(sample.labels) for sample in kept]
    batch: Batch = {
        **pad_rows(rows, pad_id),
        "labels": torch.nn.utils.rnn.pad_sequence(labels, batch_first=True, padding_value=IGNORED),
        "skipped": skipped,
        "samples": len(kept),
    }
    tiles = [sample.tiles_PCHW for sample in kept if sample.tiles_PCHW is not None]
    videos = [sample.frames_TCHW for sample in kept if sample.frames_TCHW is not None]
    if tiles:
        batch["pixel_values"] = torch.cat(tiles)
    if videos:
        batch["pixel_values_videos"] = torch.cat(videos)
        batch["frame_counts"] = torch.tensor([len(video) for video in videos])
        batch["uniform_G2"] = torch.cat([sample.uniform_G2 for sample in kept])
    return batch


_PIXELS = ("pixel_values", "pixel_values_videos")
"""Tensors in channels-last memory format, which must be kept: the rounding of convolutions depends on it."""


def collate_arrays(samples: Sequence[ModelSample | SkippedSample], pad_id: int) -> Batch:
    """Make a micro-batch of numpy arrays, pixels channels-last, in a data worker.

    Workers send arrays through a pipe. Tensors would go through `/dev/shm`, which in containers often has only 64 MB,
    less than one video.
    """
    batch = collate(samples, pad_id)
    batch |= {key: batch[key].permute(0, 2, 3, 1) for key in _PIXELS if key in batch}
    return {key: value.numpy() if isinstance(value, Tensor) else value for key, value in batch.items()}


def to_tensors(batch: Batch) -> Batch:
    """Turn the result of `collate_arrays` into that of `collate`, without copying."""
    tensors = {key: torch.from_numpy(value) for key, value in batch.items() if isinstance(value, np.ndarray)}
    return batch | tensors | {key: tensors[key].permute(0, 3, 1, 2) for key in _PIXELS if key in tensors}


def _empty(pad_id: int) -> Batch:
    zero = torch.zeros(1, 1, dtype=torch.long)
    return {
        "input_ids": zero + pad_id,
        "attention_mask": zero + 1,
        "visual_kind": zero,
        "frame_ids": zero - 1,
        "labels": zero + IGNORED,
    }
