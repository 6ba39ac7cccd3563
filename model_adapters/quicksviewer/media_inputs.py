"""Images and videos in every form that callers hold them in, turned into RGB pictures and uint8 frames.

Files go through the readers of `frames/`, which name the damage and never make up pixels. Nothing is downloaded: what
an evaluation sees must not depend on a server, its time-outs or its changes.
"""

import base64
import binascii
import mimetypes
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import numpy as np
import torch
from PIL import Image

from qsv_eval.model_adapters.errors import InputError
from qsv_eval.model_adapters.frames import FrameRule, read_image, read_video, subsample
from qsv_eval.model_adapters.frames.decode import Resize
from qsv_eval.model_adapters.quicksviewer.messages import DecodedImage, DecodedVideo, VideoInput

__all__ = [
    "FrameSampling",
    "VideoSource",
    "as_frames",
    "as_image",
    "flat_images",
    "flat_metadata",
    "flat_videos",
    "read_source",
]

_CHANNELS = (1, 3, 4)
"""Grey, RGB, and RGB with an alpha channel, which is dropped as Pillow drops it."""
_ORIENTATION = 0x0112
"""EXIF's tag for the way that a picture is turned."""
_FORMATS = ("channels_first", "channels_last")


@dataclass(frozen=True)
class FrameSampling:
    """The choice of frames of a video."""

    rule: FrameRule
    """Frames of a file, and of an array whose frame rate is known."""
    of_arrays: bool = False
    """Apply the choice to arrays, too; they are taken whole otherwise."""
    by_rate: bool = False
    """The caller asked for a frame rate, which needs a clock."""

    @classmethod
    def of_options(
        cls, num_frames: int | None = None, fps: float | None = None, do_sample_frames: bool | None = None
    ) -> "FrameSampling":
        """Return the sampling that the options of transformers ask for.

        Without options, files are sampled by the rule of the released model. `num_frames` alone spreads that many
        frames over the whole video, `fps` alone sets the rate, both set rate and limit; `do_sample_frames=False` takes
        all frames. Arrays are sampled only on request.
        """
        if do_sample_frames is False:
            return cls(FrameRule(_EVERY_FRAME, None, "blocks"))
        asked = num_frames is not None or fps is not None
        if do_sample_frames and not asked:
            return cls(FrameRule(), of_arrays=True, by_rate=True)
        if fps is None:
            rule = FrameRule() if num_frames is None else FrameRule(_EVERY_FRAME, num_frames, "blocks")
        else:
            # The reference rounds rates to whole frames per second.
            limit = FrameRule().max_frames if num_frames is None else num_frames
            rule = FrameRule(float(fps), limit, "reference" if float(fps).is_integer() else "blocks")
        return cls(rule, of_arrays=asked, by_rate=fps is not None)


_EVERY_FRAME = 1e6
"""A frame rate above that of any video."""


@dataclass(frozen=True)
class VideoSource:
    """A video as the caller holds it, with the times that came along."""

    content: Any
    """A path, frames as an array, a tensor or a list, or a `VideoInput`."""
    timestamps: Sequence[float] | None = None
    start_s: float | None = None
    end_s: float | None = None
    metadata: Mapping[str, Any] | None = None
    """Frame rate and frame numbers of an array, as in transformers' `VideoMetadata`."""

    @classmethod
    def of_part(cls, part: Mapping[str, Any], metadata: Mapping[str, Any] | None = None) -> "VideoSource":
        """Return the video of a message part."""
        return cls(part["video"], part.get("timestamps"), part.get("start_s"), part.get("end_s"), metadata)


def read_source(
    source: VideoSource, sampling: FrameSampling, side: int, resize: Resize = "exact", data_format: str | None = None
) -> VideoInput:
    """Read a video: a file at `side` × `side` pixels, frames in memory at their own size."""
    content = source.content
    if isinstance(content, VideoInput):
        if (source.timestamps, source.start_s, source.end_s, source.metadata) != (None, None, None, None):
            raise InputError("video: a Video has its own times; give timestamps and bounds when it is made")
        return _sampled(content, sampling, None)
    timestamps = source.timestamps
    if timestamps is not None and len(timestamps) == 0:  # none are known: so the reference reads it
        timestamps = None
    if isinstance(content, str | PathLike):
        return _read_file(_located(content), source, timestamps, sampling, side, resize)
    if source.start_s is not None:
        raise InputError("video: start_s is for files; leave out the frames of an array instead")
    frames_THWC = as_frames(content, data_format)
    rate = None
    if source.metadata is not None:
        if timestamps is not None:
            raise InputError("video: timestamps and video_metadata were both given; give one of them")
        timestamps, rate = _clock(source.metadata, len(frames_THWC))
    end_s = _end_of(timestamps) if source.end_s is None else source.end_s
    return _sampled(VideoInput(frames_THWC, timestamps, end_s), sampling, rate)


def as_image(source: Any, data_format: str | None = None) -> Image.Image:
    """Return an upright RGB picture of a path, a `file:` or `data:` address, the bytes of a file, PIL image or array.

    Arrays and tensors are uint8, (H, W), (H, W, C) or (C, H, W) with 1, 3 or 4 channels, and may have a leading axis of
    1. Where first and last axis could both be channels, arrays have them last and tensors first, unless `data_format`
    says otherwise.
    """
    if isinstance(source, str | PathLike):
        return read_image(_located(source))
    if isinstance(source, Image.Image):
        if source.mode == "F":
            raise InputError("an image of mode F (float) has no known range; scale it to 0…255 and convert it to L")
        # Most pictures come from `read_image` already, and a copy of a large one takes its time.
        ready = type(source) is Image.Image and source.mode == "RGB" and source.getexif().get(_ORIENTATION, 1) == 1
        return source if ready else read_image(source)
    if isinstance(source, bytes):
        return read_image(source)
    if isinstance(source, np.ndarray | torch.Tensor):
        return Image.fromarray(_image_array(source, data_format))
    hint = "; it has no pixels any more" if isinstance(source, DecodedImage) else ""
    raise InputError(
        f"an image is a path, a file's bytes, a PIL image, an array or a tensor, not a {type(source).__name__}{hint}"
    )


def as_frames(source: Any, data_format: str | None = None) -> np.ndarray:
    """Return uint8 (T, H, W, 3) of an array or tensor (T, H, W, C) or (T, C, H, W), or of a list of pictures.

    An array and a tensor may have a leading axis of 1; pictures of a list are as for `as_image`, of one size.
    """
    if isinstance(source, np.ndarray | torch.Tensor):
        array = _host(source)
        array = array[0] if array.ndim == 5 and len(array) == 1 else array
        if array.dtype != np.uint8 or array.ndim != 4 or not len(array):
            raise InputError(_video_form(f"{array.dtype} {array.shape}") + _dtype_hint(array))
        return _rgb(_channels_last(array, data_format, _video_form, prefer_first=isinstance(source, torch.Tensor)))
    if not isinstance(source, list | tuple) or isinstance(source, DecodedImage | DecodedVideo) or not len(source):
        raise InputError(_video_form("an empty list" if source in ([], ()) else f"a {type(source).__name__}"))
    pictures = [np.asarray(as_image(picture, data_format)) for picture in source]
    sizes = sorted({picture.shape[:2] for picture in pictures})
    if len(sizes) > 1:
        raise InputError(f"video: its frames differ in size, {sizes[0]} and {sizes[1]} (height, width)")
    return np.stack(pictures)


def flat_images(images: Any) -> list[Any]:
    """Return one image, a list of images or nested lists of them as a flat list."""
    if isinstance(images, list | tuple) and not isinstance(images, DecodedImage):
        return [image for item in images for image in flat_images(item)]
    if isinstance(images, np.ndarray | torch.Tensor) and images.ndim == 4:
        return list(images)
    return [images]


def flat_videos(videos: Any) -> list[Any]:
    """Return one video, a list of videos or nested lists of them as a flat list.

    A list of pictures (PIL, arrays of one picture, paths of image files) is one video.
    """
    if isinstance(videos, np.ndarray | torch.Tensor):
        return list(videos) if videos.ndim == 5 else [videos]
    if not isinstance(videos, list | tuple) or isinstance(videos, VideoInput | DecodedVideo):
        return [videos]
    if videos and all(map(_is_picture, videos)):
        return [videos]
    return [video for item in videos for video in flat_videos(item)]


def flat_metadata(metadata: Any) -> Iterator[Mapping[str, Any]]:
    """Yield the metadata of one or several videos, nested lists included."""
    if isinstance(metadata, Mapping):
        yield metadata
    elif isinstance(metadata, Sequence) and not isinstance(metadata, str):
        for item in metadata:
            yield from flat_metadata(item)
    else:
        raise InputError(f"video_metadata: a {type(metadata).__name__} is no VideoMetadata, dictionary or list of them")


def _is_picture(item: Any) -> bool:
    if isinstance(item, str | PathLike):
        return (mimetypes.guess_type(str(item))[0] or "").startswith("image/")
    return isinstance(item, Image.Image) or (isinstance(item, np.ndarray | torch.Tensor) and item.ndim in (2, 3))


def _read_file(
    location: Path | bytes,
    source: VideoSource,
    timestamps: Sequence[float] | None,
    sampling: FrameSampling,
    side: int,
    resize: Resize,
) -> VideoInput:
    if isinstance(location, bytes):
        raise InputError("video: a data: address holds no file that can be read; write it to a file and give its path")
    if timestamps is not None or source.metadata is not None:
        name = "timestamps" if timestamps is not None else "video_metadata"
        raise InputError(f"{location}: {name} are for frames given as an array; a file's are read from it")
    clip = read_video(location, sampling.rule, (side, side), source.start_s, source.end_s, resize)
    return VideoInput(clip.frames, clip.timestamps_s, clip.duration_s, clip.shortfall)


def _located(source: str | PathLike[str]) -> Path | bytes:
    """Return the path that an address names, or the bytes that it holds."""
    text = str(source)
    if text.startswith("file:"):
        parsed = urlsplit(text)
        if parsed.netloc not in ("", "localhost"):
            raise InputError(f"{text}: a file: address names a file of this machine, as in file:///folder/name")
        return Path(url2pathname(parsed.path))
    if text.startswith("data:"):
        try:
            return base64.b64decode(text.partition(",")[2], validate=True)
        except (binascii.Error, ValueError) as error:
            raise InputError(f"{text[:40]}: a data: address must be base64: {error}") from error
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", text):
        raise InputError(f"{text}: is not downloaded; save it and give the path")
    return Path(source)


def _image_array(source: np.ndarray | torch.Tensor, data_format: str | None) -> np.ndarray:
    array = _host(source)
    array = array[0] if array.ndim == 4 and len(array) == 1 else array
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or 0 in array.shape:
        raise InputError(_image_form(f"{array.dtype} {array.shape}") + _dtype_hint(array))
    if array.ndim == 2:
        return _rgb(array[..., None])
    return _rgb(_channels_last(array, data_format, _image_form, prefer_first=isinstance(source, torch.Tensor)))


def _host(source: np.ndarray | torch.Tensor) -> np.ndarray:
    if not isinstance(source, torch.Tensor):
        return source
    tensor = source.detach().cpu()
    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()  # NumPy has no bfloat16


def _channels_last(array: np.ndarray, data_format: str | None, form: Any, *, prefer_first: bool) -> np.ndarray:
    data_format = getattr(data_format, "value", data_format)
    if data_format not in (None, *_FORMATS):
        raise InputError(f"input_data_format {data_format!r} is unknown: use one of {', '.join(_FORMATS)}")
    first, last = array.shape[-3] in _CHANNELS, array.shape[-1] in _CHANNELS
    is_first = data_format == "channels_first" if data_format else first and (prefer_first or not last)
    if not (first if is_first else last):
        raise InputError(form(f"{array.dtype} {array.shape}"))
    # A convolution rounds by how pixels lie in memory: always with their channels last.
    return np.ascontiguousarray(np.moveaxis(array, -3, -1)) if is_first else array


def _rgb(array: np.ndarray) -> np.ndarray:
    """Return RGB of arrays with 1, 3 or 4 channels at the end, without a copy where they are RGB already."""
    channels = array.shape[-1]
    if channels == 3:
        return array
    return np.repeat(array, 3, axis=-1) if channels == 1 else np.ascontiguousarray(array[..., :3])


def _image_form(found: str) -> str:
    return f"an image array must be uint8 of shape (H, W, 3), (3, H, W) or (H, W), not {found}"


def _video_form(found: str) -> str:
    return (
        "a video must be uint8 of shape (frames, height, width, 3) or (frames, 3, height, width) with at least one "
        f"frame, not {found}"
    )


def _dtype_hint(array: np.ndarray) -> str:
    if array.dtype.kind == "f":
        return "; multiply values from 0 to 1 by 255 and cast them to uint8"
    return "" if array.dtype == np.uint8 else "; scale the values to 0…255 and cast them to uint8"


def _clock(metadata: Mapping[str, Any], frames: int) -> tuple[list[float] | None, float | None]:
    """Return the times of an array's frames, and the frame rate if the array holds every frame."""
    fps, indices = metadata.get("fps"), metadata.get("frames_indices")
    if indices is not None and len(indices) != frames:
        raise InputError(f"video_metadata: {len(indices)} frames_indices for {frames} frames; give one for each frame")
    if fps is None:
        return None, None
    numbers: Any = range(frames) if indices is None else indices
    return [float(number) / float(fps) for number in numbers], float(fps) if indices is None else None


def _sampled(video: VideoInput, sampling: FrameSampling, rate: float | None) -> VideoInput:
    """Choose frames of a video in memory."""
    if not sampling.of_arrays:
        return video
    total = len(video.frames_THWC)
    if rate is not None:
        kept = sampling.rule.indices(rate, total) or [total // 2]
    elif sampling.by_rate:
        raise InputError(
            "video: frames in memory have no frame rate to sample by; give video_metadata with fps, only num_frames, "
            "or do_sample_frames=False"
        )
    else:
        kept = subsample(total, sampling.rule.max_frames or total)
    times = None if video.timestamps_s is None else [video.timestamps_s[number] for number in kept]
    return video._replace(frames_THWC=video.frames_THWC[kept], timestamps_s=times)


def _end_of(timestamps_s: Sequence[float] | None) -> float | None:
    """Guess where a clip of sampled frames ends: each frame stands in the middle of its share of time."""
    if timestamps_s is None or len(timestamps_s) == 0:
        return None
    last, first = float(timestamps_s[-1]), float(timestamps_s[0])
    return last + (last - first) / (len(timestamps_s) - 1) / 2 if len(timestamps_s) > 1 else last
