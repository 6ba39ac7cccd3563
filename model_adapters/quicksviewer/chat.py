"""Ask Quicksviewer about videos and images: the one entry that `ask`, the engine and the demos share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple, get_args

import numpy as np
import torch
from PIL import Image
from torch import nn
from transformers import GenerationConfig, PreTrainedModel
from transformers.utils import is_flash_attn_2_available

from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.model_adapters.frames import FrameRule, read_image, read_video
from qsv_eval.model_adapters.frames.pixels import Resize
from qsv_eval.model_adapters.quicksviewer.checkpoint import LoadedCheckpoint, load_checkpoint
from qsv_eval.model_adapters.quicksviewer.device import resolve_device
from qsv_eval.model_adapters.quicksviewer.processing import Conversation, Message, Video, parts_of

__all__ = ["Cube", "Quicksviewer", "Reply", "load_pretrained"]


class Cube(NamedTuple):
    """A run of frames that shares one block of visual tokens; half-open."""

    start_frame: int
    end_frame: int
    start_s: float | None
    """Timestamp of its first frame; None where the video came without timestamps."""
    end_s: float | None
    """Start of the next cube, or the end of the clip."""


@dataclass(frozen=True)
class Reply:
    """An answer, and what it rests on."""

    text: str
    token_ids: list[int]
    """Generated ids, the end token included."""
    prompt: str
    """The prompt before the cubes are merged: every frame is in it."""
    cubes: list[list[Cube]]
    """For each video its cubes, without the thumbnail."""
    frames: list[list[float] | None]
    """For each video the timestamps of the frames that were looked at, in seconds."""
    lost_frames: list[int]
    """For each video the frames that were wanted and could not be decoded."""
    prompt_tokens: int
    """Tokens that the language model read, visual tokens included."""


class Quicksviewer:
    """A loaded model that answers questions."""

    def __init__(
        self, checkpoint: LoadedCheckpoint, frame_rule: FrameRule | None = None, resize: Resize = "exact"
    ) -> None:
        if resize not in get_args(Resize):
            raise SetupError(f"resize {resize!r} is unknown: use one of {', '.join(get_args(Resize))}")
        self.model, self.processor = checkpoint
        # `generate` would take from it what a call leaves open: sampling, penalties, forced and forbidden tokens.
        self.model.generation_config = GenerationConfig()
        self.frame_rule = frame_rule or FrameRule()
        self.resize = resize

    def chat(self, messages: Conversation, *, max_new_tokens: int = 2048, **generation: Any) -> Reply:
        """Answer one conversation; see `chat_batch`."""
        return self.chat_batch([messages], max_new_tokens=max_new_tokens, **generation)[0]

    def chat_batch(
        self, conversations: Sequence[Conversation], *, max_new_tokens: int = 2048, **generation: Any
    ) -> list[Reply]:
        """Answer conversations together; each reply equals the one it would get alone.

        Args:
            conversations: each a list of `{"role": …, "content": text | [part, …]}`. A part is `{"type": "video",
                "video": path | uint8 (T, H, W, 3), "timestamps": [s, …], "start_s": …, "end_s": …}`, `{"type": "image",
                "image": path | PIL | uint8 (H, W, 3)}` or `{"type": "text", "text": …}`; parts are joined by newlines.
            max_new_tokens: where to stop at the latest.
            generation: as for transformers' `GenerationConfig`. Greedy unless `do_sample=True`: what the checkpoint's
                generation_config.json says is not followed.

        Raises:
            MediaError: a video or image cannot be read.
            SetupError: a message is not of the form above.
        """
        if not conversations:
            return []
        read = [self.read_media(conversation) for conversation in conversations]
        batch = self.processor(read).to(self.model.device)
        with torch.inference_mode():
            visual = self.model.perceive(
                batch.pop("pixel_values", None), batch.pop("pixel_values_videos", None), batch.pop("frame_counts", None)
            )
            text = {key: batch[key] for key in ("input_ids", "attention_mask", "visual_kind", "frame_ids")}
            merged = self.model.model.merge(**text, visual=visual, pad_left=True)
            ids = self.model.generate(
                inputs_embeds=merged.inputs_embeds,
                attention_mask=merged.attention_mask,
                generation_config=self._generation(max_new_tokens, generation),
            )
        bounds, lengths = iter(visual.bounds()), merged.attention_mask.sum(1).tolist()
        rows = zip(read, ids.tolist(), lengths, strict=True)
        return [self._reply(conversation, row, bounds, length) for conversation, row, length in rows]

    def read_media(self, messages: Conversation) -> list[dict[str, Any]]:
        """Return the conversation with its files and arrays read: PIL images and `Video`s."""
        return [self._read_message(message) for message in messages]

    def _read_message(self, message: Message) -> dict[str, Any]:
        parts = [self._read_part(part) for part in parts_of(message)]
        return {"role": message["role"], "content": parts}

    def _read_part(self, part: Mapping[str, Any]) -> dict[str, Any]:
        if part["type"] == "image":
            return {"type": "image", "image": _read_image(part["image"])}
        if part["type"] == "video":
            return {"type": "video", "video": self._read_video(part)}
        return dict(part)

    def _read_video(self, part: Mapping[str, Any]) -> Video:
        source, timestamps = part["video"], part.get("timestamps")
        if isinstance(source, Video):
            return source
        if timestamps is not None and len(timestamps) == 0:  # none are known: so the reference reads it
            timestamps = None
        if not isinstance(source, str | PathLike):
            return Video(np.asarray(source), timestamps, part.get("end_s", _end_of(timestamps)))
        if timestamps is not None:
            raise SetupError(f"{source}: timestamps are for frames given as an array; a file's are read from it")
        size = (self.processor.video_processor.frame_size,) * 2
        clip = read_video(Path(source), self.frame_rule, size, part.get("start_s"), part.get("end_s"), self.resize)
        return Video(clip.frames, clip.timestamps_s, clip.duration_s, clip.shortfall)

    def _generation(self, max_new_tokens: int, options: Mapping[str, Any]) -> GenerationConfig:
        tokenizer = self.processor.tokenizer
        # transformers would cut sampling off at the 50 most probable tokens.
        defaults: dict[str, Any] = {"top_k": 0} if options.get("do_sample") else {"do_sample": False}
        defaults |= {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
        return GenerationConfig(**{"max_new_tokens": max_new_tokens, **defaults, **options})

    def _reply(self, conversation: Conversation, row: list[int], bounds: Any, prompt_tokens: int) -> Reply:
        eos = self.processor.tokenizer.eos_token_id
        ids = row[: row.index(eos) + 1] if eos in row else row
        videos = [part["video"] for message in conversation for part in message["content"] if part["type"] == "video"]
        return Reply(
            text=self.processor.decode_reply(ids),
            token_ids=ids,
            prompt=self.processor.prompt(conversation),
            cubes=[_cubes(next(bounds), video) for video in videos],
            frames=[None if video.timestamps_s is None else [float(t) for t in video.timestamps_s] for video in videos],
            lost_frames=[video.lost_frames for video in videos],
            prompt_tokens=prompt_tokens,
        )


def load_pretrained(
    pretrained: str | PathLike[str],
    *,
    device: str | torch.device | None = None,
    dtype: str | torch.dtype = "auto",
    frame_rule: FrameRule | None = None,
    resize: Resize = "exact",
    chunk_frames: int | None = None,
    attn_implementation: str | None = None,
    **options: Any,
) -> Quicksviewer:
    """Load a checkpoint, ready to `chat`.

    Args:
        pretrained: a folder or hub id of a released or saved checkpoint, or of a PEFT adapter.
        device: where to put it; the accelerator if there is one, else the CPU. Not with `device_map`.
        dtype: "float32", "bfloat16", "float16", or "auto" for the checkpoint's own.
        frame_rule: which frames of a video file are looked at.
        resize: "exact" (Pillow, as the reference) or "fast" (swscale).
        chunk_frames: frames that go through the vision tower at once.
        attn_implementation: "flash_attention_2", "sdpa" or "eager"; None takes flash-attn where it is installed and the
            device and dtype allow it, and SDPA otherwise.
        options: `revision`, `subfolder`, and what else transformers' `from_pretrained` takes (`device_map`,
            `quantization_config`, …).

    Raises:
        SetupError: the checkpoint is not there or not whole.
    """
    target = resolve_device(device)
    if chunk_frames is not None and chunk_frames < 1:
        raise SetupError(f"chunk_frames {chunk_frames}: give at least 1")
    if attn_implementation not in (None, *_ATTENTIONS):
        raise SetupError(f"attn_implementation {attn_implementation!r} is unknown: use {', '.join(_ATTENTIONS)}")
    name = str(dtype).removeprefix("torch.")
    if name not in _DTYPES:
        raise SetupError(f"{pretrained}: dtype {name!r} is unknown: use one of {', '.join(_DTYPES)}")
    checkpoint = load_checkpoint(str(pretrained), dtype=name, attn_implementation=attn_implementation, **options)
    model: nn.Module = checkpoint.model
    if "device_map" not in options:
        model.to(target)
    if attn_implementation is None and _flash_attention_fits(checkpoint.model):
        checkpoint.model.set_attn_implementation("flash_attention_2")
    if chunk_frames is not None:
        checkpoint.model.model.perception.chunk_frames = chunk_frames
    return Quicksviewer(checkpoint, frame_rule, resize)


_ATTENTIONS = ("flash_attention_2", "sdpa", "eager")
_DTYPES = ("auto", "float32", "bfloat16", "float16")


def _flash_attention_fits(model: PreTrainedModel) -> bool:
    """Say whether flash-attn is installed and can serve this model where it is."""
    half = model.dtype in (torch.bfloat16, torch.float16)
    return model.device.type == "cuda" and half and is_flash_attn_2_available()


def _read_image(source: Any) -> Image.Image:
    try:
        return read_image(source)
    except ValueError as error:  # an array of another form than pictures have
        raise SetupError(str(error)) from error


def _end_of(timestamps_s: Sequence[float] | None) -> float | None:
    """Guess where a clip of sampled frames ends: each frame stands in the middle of its share of time."""
    if timestamps_s is None or len(timestamps_s) == 0:
        return None
    last, first = float(timestamps_s[-1]), float(timestamps_s[0])
    return last + (last - first) / (len(timestamps_s) - 1) / 2 if len(timestamps_s) > 1 else last


def _cubes(bounds: Sequence[tuple[int, int]], video: Video) -> list[Cube]:
    if video.timestamps_s is None:
        return [Cube(start, end, None, None) for start, end in bounds]
    times = [float(time) for time in video.timestamps_s]
    # A segment's last frame may stand behind its end: frames are taken from whole steps of the frame rule.
    end_s = None if video.end_s is None else max(video.end_s, times[-1])
    ends = [times[end] if end < len(times) else end_s for _, end in bounds]
    return [Cube(start, end, times[start], until_s) for (start, end), until_s in zip(bounds, ends, strict=True)]
