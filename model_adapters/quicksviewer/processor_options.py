"""Options of a processor call: the names that are honoured, and the reasons why others are refused.

transformers warns about unknown options and goes on without them; here a name that would have no effect is an error.
"""

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple, NoReturn, TypedDict

from transformers.processing_utils import ProcessingKwargs

from qsv_eval.model_adapters.errors import InputError

__all__ = [
    "CallOptions",
    "QuicksviewerImageProcessorKwargs",
    "QuicksviewerProcessorKwargs",
    "QuicksviewerVideoProcessorKwargs",
    "call_options",
    "check_rgb",
    "refuse_saved",
    "refuse_unknown",
]


class QuicksviewerImageProcessorKwargs(TypedDict, total=False):
    """Options of the image processor."""

    tile_size: int
    canvases_hw: Any
    do_convert_rgb: bool | None
    input_data_format: Any
    return_tensors: Any


class QuicksviewerVideoProcessorKwargs(TypedDict, total=False):
    """Options of the video processor."""

    frame_size: int
    num_frames: int | None
    fps: int | float | None
    do_sample_frames: bool | None
    video_metadata: Any
    do_convert_rgb: bool | None
    input_data_format: Any
    return_tensors: Any


class QuicksviewerProcessorKwargs(ProcessingKwargs, total=False):
    """Options of the processor: those of its text and of its parts."""

    images_kwargs: QuicksviewerImageProcessorKwargs  # type: ignore[misc]
    videos_kwargs: QuicksviewerVideoProcessorKwargs  # type: ignore[misc]


class CallOptions(NamedTuple):
    """Options of one call, by what they are for; only what was given, or is a default of the tokenizer."""

    text: dict[str, Any]
    images: dict[str, Any]
    videos: dict[str, Any]


_LENGTHS = ("padding", "truncation", "max_length", "padding_side", "pad_to_multiple_of")
_TEXT = (
    *_LENGTHS,
    *("add_special_tokens", "return_attention_mask", "return_tensors"),
    *("return_mm_token_type_ids", "return_text_replacement_offsets"),
)
_NAMES: dict[str, Collection[str]] = {
    "text_kwargs": _TEXT,
    "images_kwargs": tuple(QuicksviewerImageProcessorKwargs.__annotations__),
    "videos_kwargs": tuple(QuicksviewerVideoProcessorKwargs.__annotations__),
}

_PIXELS = "pixels stay uint8 and are normalised in the model"
_SIZES = "pictures are cut as the released model was trained; tile_size, canvases_hw and frame_size set the sizes"
_HOST = "pixels are made on the host with their channels first; move the batch with .to(device)"
_AUDIO = "the model takes no audio"
_TEXTS = "the tokens of a text follow from its media, so it is tokenised by the processor's own rules"
_REASONS = {
    **dict.fromkeys(("do_rescale", "rescale_factor", "do_normalize", "image_mean", "image_std"), _PIXELS),
    **dict.fromkeys(("do_resize", "size", "default_to_square", "resample", "do_pad", "pad_size"), _SIZES),
    **dict.fromkeys(("do_center_crop", "crop_size", "image_seq_length"), _SIZES),
    **dict.fromkeys(("device", "disable_grouping", "data_format"), _HOST),
    **dict.fromkeys(("audio", "audio_kwargs", "sampling_rate", "load_audio_from_video", "load_audio_backend"), _AUDIO),
    "return_metadata": "the times of the frames stand in the text",
}
"""Options of transformers that are not offered."""
_REASONS_OF_TEXT = {
    **dict.fromkeys(("text_pair", "text_target", "text_pair_target", "is_split_into_words", "stride"), _TEXTS),
    **dict.fromkeys(("return_overflowing_tokens", "return_special_tokens_mask", "return_length"), _TEXTS),
    **dict.fromkeys(("return_token_type_ids", "sanitize_control_tokens"), _TEXTS),
    "return_offsets_mapping": f"{_TEXTS}; apply_chat_template returns a mask with return_assistant_tokens_mask=True",
    "verbose": "no warnings are printed",
}
"""Options of tokenizers that are not offered. False and 0 ask for nothing."""


def call_options(given: Mapping[str, Any], defaults: Mapping[str, Any], owner: str) -> CallOptions:
    """Sort the options of a call, flat ones and those in `text_kwargs`, `images_kwargs` and `videos_kwargs`.

    Args:
        given: the call's keyword arguments.
        defaults: the tokenizer's `init_kwargs`, which give lengths and padding where the call does not.
        owner: the name of the class, for errors.

    Raises:
        InputError: an option is unknown, is not offered, or was given twice.
    """
    flat = {name: value for name, value in given.items() if name not in (*_NAMES, "common_kwargs")}
    common = dict(given.get("common_kwargs") or {})
    groups = {group: dict(given.get(group) or {}) for group in _NAMES}
    for group, options in groups.items():
        for name in options.keys() & flat.keys() & set(_NAMES[group]):
            raise InputError(f"{owner}: the option {name!r} was given twice, by itself and in {group}")
        groups[group] = {
            **{name: value for name, value in (common | flat).items() if name in _NAMES[group]},
            **refuse_unknown(options, _NAMES[group], f"{owner}, {group}"),
        }
    known = {name for names in _NAMES.values() for name in names}
    refuse_unknown(common | flat, known, owner)
    saved = {name: defaults[name] for name in _LENGTHS if defaults.get(name) is not None}
    text = {"padding": True, **saved, **groups["text_kwargs"]}
    if text["padding"] != "max_length" and not text.get("truncation") and "max_length" not in groups["text_kwargs"]:
        text.pop("max_length", None)  # a tokenizer's own limit cuts or pads texts only where that was asked for
    return CallOptions(text, groups["images_kwargs"], groups["videos_kwargs"])


def refuse_unknown(given: Mapping[str, Any], known: Collection[str], owner: str) -> dict[str, Any]:
    """Return the options that are known; raise InputError for any other, unless its value asks for nothing."""
    for name, value in given.items():
        idle = (name in _REASONS and value is None) or (name in _REASONS_OF_TEXT and not value)
        if name not in known and not idle:
            _refuse(name, known, owner)
    return {name: value for name, value in given.items() if name in known}


def refuse_saved(given: Mapping[str, Any], owner: str) -> None:
    """Raise InputError for settings of transformers' image and video processors that ours do not have."""
    for name in given.keys() & _REASONS.keys():
        _refuse(name, (), owner)


def check_rgb(do_convert_rgb: bool | None) -> None:
    """Raise InputError if pictures are not to be made RGB."""
    if do_convert_rgb is False:
        raise InputError("do_convert_rgb=False is not offered: the vision tower takes RGB pictures")


def _refuse(name: str, known: Collection[str], owner: str) -> NoReturn:
    reason = _REASONS.get(name) or _REASONS_OF_TEXT.get(name)
    if reason is not None:
        raise InputError(f"{owner}: the option {name!r} is not offered: {reason}")
    raise InputError(f"{owner}: the option {name!r} is unknown; known are {', '.join(sorted(known))}")
