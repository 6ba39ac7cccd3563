"""Ask Quicksviewer about videos and images: the one entry that `ask`, the engine and the demos share."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, get_args

import numpy as np
import torch
from PIL import Image
from transformers import GenerationConfig

from qsv_eval.model_adapters.cubing import CubeRule
from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.model_adapters.frames import FrameRule
from qsv_eval.model_adapters.frames.decode import Resize
from qsv_eval.model_adapters.quicksviewer.checkpoint import LoadedCheckpoint
from qsv_eval.model_adapters.quicksviewer.generation import (
    NO_PREFIX,
    MergedPrompt,
    Prefix,
    ReplyStreamer,
    generate,
    merge_prompt,
)
from qsv_eval.model_adapters.quicksviewer.media_inputs import FrameSampling, VideoSource, as_image, read_source
from qsv_eval.model_adapters.quicksviewer.messages import Conversation, DecodedVideo, media_of, parts_of
from qsv_eval.model_adapters.quicksviewer.perception import FrameSummaries, VisualTokens

__all__ = ["Cube", "EncodedConversation", "Quicksviewer", "Reply"]


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
    visual_tokens: int


class EncodedConversation(NamedTuple):
    """A conversation whose media were looked at: `DecodedImage` and `DecodedVideo` stand in their places."""

    conversation: list[dict[str, Any]]
    visual: VisualTokens


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

    def chat(
        self,
        messages: Conversation,
        *,
        max_new_tokens: int = 2048,
        hear: Callable[[str], object] | None = None,
        **generation: Any,
    ) -> Reply:
        """Answer one conversation; see `chat_batch`. Whoever wants to `hear` is told the reply piece by piece."""
        conversation, visual = self.see(self.read_media(messages))
        prompt = self.prompt(conversation, visual)
        return self.answer(conversation, prompt, self.generation(max_new_tokens, **generation), hear=hear)

    def chat_batch(
        self, conversations: Sequence[Conversation], *, max_new_tokens: int = 2048, **generation: Any
    ) -> list[Reply]:
        """Answer conversations together; each reply equals the one it would get alone.

        Args:
            conversations: each a list of `{"role": …, "content": text | [part, …]}`. A part is `{"type": "video",
                "video": path | uint8 (T, H, W, 3), "timestamps": [s, …], "start_s": …, "end_s": …}`, `{"type": "image",
                "image": path | PIL | uint8 (H, W, 3)}` or `{"type": "text", "text": …}`; parts are joined by newlines.
                `url`, `path` and `base64` may stand for `image` and `video`, as in the chats of transformers.
            max_new_tokens: where to stop at the latest.
            generation: as for transformers' `GenerationConfig`. Greedy unless `do_sample=True`: what the checkpoint's
                generation_config.json says is not followed.

        Raises:
            MediaError: a video or image cannot be read.
            SetupError: a message is not of the form above.
        """
        if not conversations:
            return []
        seen = [self.see(self.read_media(conversation)) for conversation in conversations]
        prompts = [self.prompt(conversation, visual) for conversation, visual in seen]
        replies = generate(self.model, prompts, self.generation(max_new_tokens, **generation))
        rows = zip(seen, prompts, replies, strict=True)
        return [self.reply(conversation, prompt, ids) for (conversation, _), prompt, ids in rows]

    def see(self, conversation: Conversation, rule: CubeRule | None = None) -> EncodedConversation:
        """Look at the media of a conversation whose files have been read; `rule` as for `visual_tokens`."""
        tiles = self.summarise_images(media_of(conversation, "image"))
        videos = media_of(conversation, "video")
        frames = [self.summarise_frames(video.frames_THWC) for video in videos]
        visual = self.visual_tokens(tiles, frames, rule)
        return EncodedConversation(self.processor.without_pixels(conversation), visual)

    def summarise_images(self, images: Sequence[Image.Image]) -> FrameSummaries | None:
        """Look at the tiles of images; None if there are no images."""
        if not images:
            return None
        tiles = self.processor.image_processor.preprocess(images)["pixel_values"]
        with torch.inference_mode():
            return self.model.model.perception.summarise(tiles)

    def summarise_frames(self, frames_THWC: np.ndarray) -> FrameSummaries:
        """Look at frames, uint8 of any size; they go to the model's device a chunk at a time."""
        frames = self.processor.video_processor.preprocess([frames_THWC])["pixel_values_videos"]
        with torch.inference_mode():
            return self.model.model.perception.summarise(frames)

    def visual_tokens(
        self, tiles: FrameSummaries | None, videos: Sequence[FrameSummaries], rule: CubeRule | None = None
    ) -> VisualTokens:
        """Turn what was seen of images and of videos, in order, into what the language model reads.

        Videos are cut by `rule`, or else as the checkpoint says.
        """
        frames = FrameSummaries.join(videos) if videos else None
        counts = tuple(len(video.means_Td) for video in videos)
        with torch.inference_mode():
            return self.model.model.perception.tokens(tiles, frames, counts, rule=rule)

    def prompt(self, conversation: Conversation, visual: VisualTokens) -> MergedPrompt:
        """Merge a conversation, with `DecodedImage` and `DecodedVideo` for media, with what was seen of them."""
        return merge_prompt(self.model, self.processor.tokens(conversation), visual)

    def answer(
        self,
        conversation: Conversation,
        prompt: MergedPrompt,
        config: GenerationConfig,
        prefix: Prefix = NO_PREFIX,
        hear: Callable[[str], object] | None = None,
    ) -> Reply:
        """Answer a conversation whose prompt stands, and of which `prefix` has been read."""
        voice = None if hear is None else ReplyStreamer(self.processor.decode_reply, hear)
        [ids] = generate(self.model, [prompt], config, prefix, voice)
        reply = self.reply(conversation, prompt, ids)
        if voice is not None:
            voice.say(reply.text)  # of beams nothing was heard until now
        return reply

    def read_media(self, messages: Conversation, rule: FrameRule | None = None) -> list[dict[str, Any]]:
        """Return the conversation with its files and arrays read: PIL images and `Video`s.

        Of video files the frames that `rule` wants are read, or else the model's own rule.
        """
        sampling = FrameSampling(rule or self.frame_rule)
        side = self.processor.video_processor.frame_size

        def read(part: Mapping[str, Any]) -> dict[str, Any]:
            if part["type"] == "image":
                return {"type": "image", "image": as_image(part["image"])}
            if part["type"] == "video":
                return {"type": "video", "video": read_source(VideoSource.of_part(part), sampling, side, self.resize)}
            return dict(part)

        contents = [[read(part) for part in parts_of(message)] for message in messages]
        return [{"role": message["role"], "content": parts} for message, parts in zip(messages, contents, strict=True)]

    def generation(self, max_new_tokens: int = 2048, **options: Any) -> GenerationConfig:
        """Return complete generation settings; greedy where `options` (transformers' names) do not say otherwise."""
        for name in options.keys() - _GENERATION_OPTIONS:
            raise SetupError(f"generation: the option {name!r} is unknown to transformers' GenerationConfig")
        tokenizer = self.processor.tokenizer
        # transformers would cut sampling off at the 50 most probable tokens.
        defaults: dict[str, Any] = {"top_k": 0} if options.get("do_sample") else {"do_sample": False}
        defaults |= {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
        return GenerationConfig(**{"max_new_tokens": max_new_tokens, "num_beams": 1, **defaults, **options})

    def reply(self, conversation: Conversation, prompt: MergedPrompt, ids: list[int]) -> Reply:
        """Put together the reply to a conversation (as in `prompt`) from the generated ids."""
        videos = media_of(conversation, "video")
        bounds = prompt.visual.bounds()
        return Reply(
            text=self.processor.decode_reply(ids),
            token_ids=ids,
            prompt=self.processor.prompt(conversation),
            cubes=[_cubes(cubes, video) for cubes, video in zip(bounds, videos, strict=True)],
            frames=[None if video.timestamps_s is None else [float(t) for t in video.timestamps_s] for video in videos],
            lost_frames=[video.lost_frames for video in videos],
            prompt_tokens=len(prompt),
            visual_tokens=prompt.visual_tokens,
        )


_GENERATION_OPTIONS = frozenset(vars(GenerationConfig()))


def _cubes(bounds: Sequence[tuple[int, int]], video: DecodedVideo) -> list[Cube]:
    if video.timestamps_s is None:
        return [Cube(start, end, None, None) for start, end in bounds]
    times = [float(time) for time in video.timestamps_s]
    # A segment's last frame may stand behind its end: frames are taken from whole steps of the frame rule.
    end_s = None if video.end_s is None else max(video.end_s, times[-1])
    ends = [times[end] if end < len(times) else end_s for _, end in bounds]
    return [Cube(start, end, times[start], until_s) for (start, end), until_s in zip(bounds, ends, strict=True)]
