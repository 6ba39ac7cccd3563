"""Image and video processors: pictures of any size to the uint8 tiles and frames that the vision tower takes.

Values stay uint8 and are normalised on the device, a chunk at a time (`Perception.encode`): a quarter of the host
memory and of the transfer, and the same float32 values.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import BaseImageProcessor, BatchFeature
from transformers.image_processing_utils import select_best_resolution
from transformers.utils import cached_file
from transformers.video_processing_utils import BaseVideoProcessor

from qsv_eval.model_adapters.errors import InputError
from qsv_eval.model_adapters.quicksviewer.configuration import PLACE
from qsv_eval.model_adapters.quicksviewer.media_inputs import (
    FrameSampling,
    VideoSource,
    as_frames,
    as_image,
    flat_images,
    flat_metadata,
    flat_videos,
    read_source,
)
from qsv_eval.model_adapters.quicksviewer.messages import VideoInput
from qsv_eval.model_adapters.quicksviewer.processor_options import (
    QuicksviewerImageProcessorKwargs,
    QuicksviewerVideoProcessorKwargs,
    check_rgb,
    refuse_unknown,
)

__all__ = [
    "CANVASES_HW",
    "QuicksviewerImageProcessor",
    "QuicksviewerVideoProcessor",
    "cut_tiles",
    "saved_settings",
    "tile_corners",
]

CANVASES_HW = ((448, 224), (672, 224), (896, 224), (448, 448), (224, 448), (224, 672), (224, 896))
"""The reference's candidate canvases (`image_grid_pinpoints`), here as (height, width), in its order."""

_BOOKKEEPING = ("auto_map", "feature_extractor_type", "image_processor_type", "processor_class", "video_processor_type")
"""Keys that transformers writes into the file of a processor beside its settings."""


_LOADING = ("return_unused_kwargs", "trust_remote_code", "use_fast", "backend")
"""Arguments of `from_pretrained` that reach `from_dict`."""


class QuicksviewerImageProcessor(BaseImageProcessor):
    """Cuts images into square tiles ("anyres", docs/reference.md, section 2)."""

    model_input_names = ["pixel_values", "tile_counts"]  # noqa: RUF012 - transformers' form
    valid_kwargs = QuicksviewerImageProcessorKwargs  # type: ignore[assignment]
    do_convert_rgb = True

    def __init__(self, tile_size: int = 384, canvases_hw: Sequence[Sequence[int]] = CANVASES_HW, **kwargs: Any) -> None:
        _check_settings(kwargs, ("tile_size", "canvases_hw"), type(self).__name__)
        super().__init__()
        self.tile_size = tile_size
        self.canvases_hw = [list(canvas) for canvas in canvases_hw]

    @classmethod
    def from_dict(cls, image_processor_dict: dict[str, Any], **kwargs: Any) -> Any:
        """Make a processor of saved settings, or of the size in a released checkpoint's settings of SigLIP."""
        _check_unused(kwargs, ("tile_size", "canvases_hw"), cls.__name__)
        return super().from_dict(_own_settings(image_processor_dict, "tile_size"), **kwargs)

    def to_dict(self) -> dict[str, Any]:
        """Return what a reload needs; the settings of the base class are not used."""
        settings = {"tile_size": self.tile_size, "canvases_hw": [list(canvas) for canvas in self.canvases_hw]}
        return {"image_processor_type": type(self).__name__, **settings}

    def preprocess(
        self,
        images: Any,
        *,
        tile_size: int | None = None,
        canvases_hw: Sequence[Sequence[int]] | None = None,
        do_convert_rgb: bool | None = None,
        input_data_format: str | None = None,
        return_tensors: str | None = None,
    ) -> BatchFeature:
        """Cut images into tiles.

        Args:
            images: one image or a list, nested or not, in any form that `as_image` takes.
            tile_size: side of a tile, instead of the processor's.
            canvases_hw: candidate canvases, instead of the processor's.
            do_convert_rgb: always done; False is refused.
            input_data_format: "channels_first" or "channels_last", where an array could be both.
            return_tensors: "np" for arrays; PyTorch's tensors otherwise.

        Returns:
            `pixel_values` uint8 (P, 3, S, S), the tiles of all images, and `tile_counts` (images,).
        """
        check_rgb(do_convert_rgb)
        side, canvases = tile_size or self.tile_size, self.canvases_hw if canvases_hw is None else canvases_hw
        given = flat_images(images)
        if not given:
            raise InputError("image processor: there is no image")
        tiles = [cut_tiles(as_image(image, input_data_format), side, canvases) for image in given]
        pixels = torch.from_numpy(np.stack([np.asarray(tile) for group in tiles for tile in group]))
        counts = torch.tensor([len(group) for group in tiles])
        return _feature({"pixel_values": pixels.permute(0, 3, 1, 2), "tile_counts": counts}, return_tensors)

    def tile_count(self, image: Image.Image) -> int:
        """Return how many tiles an image is cut into, the whole image among them."""
        return 1 + len(tile_corners(_canvas_for(image, self.canvases_hw), self.tile_size))


def cut_tiles(image: Image.Image, tile_size: int, canvases_hw: Sequence[Sequence[int]]) -> list[Image.Image]:
    """Return the whole image, squeezed to a tile, and then the tiles of the canvas that it fills best, row by row.

    Tiles that reach over the canvas, whose sides are no multiples of the tile, are filled with black, as in the
    reference.
    """
    width, height = image.size
    canvas_height, canvas_width = _canvas_for(image, canvases_hw)
    scale_w, scale_h = canvas_width / width, canvas_height / height
    if scale_w < scale_h:
        fitted = (canvas_width, min(int(np.ceil(height * scale_w)), canvas_height))
    else:
        fitted = (min(int(np.ceil(width * scale_h)), canvas_width), canvas_height)
    canvas = Image.new("RGB", (canvas_width, canvas_height))
    corner = ((canvas_width - fitted[0]) // 2, (canvas_height - fitted[1]) // 2)
    canvas.paste(image.resize(fitted, Image.Resampling.BICUBIC), corner)
    corners = tile_corners((canvas_height, canvas_width), tile_size)
    whole = image.resize((tile_size, tile_size), Image.Resampling.BICUBIC)
    return [whole, *(canvas.crop((x, y, x + tile_size, y + tile_size)) for x, y in corners)]


def _canvas_for(image: Image.Image, canvases_hw: Sequence[Sequence[int]]) -> tuple[int, int]:
    return select_best_resolution((image.height, image.width), [tuple(canvas) for canvas in canvases_hw])


def tile_corners(canvas_hw: tuple[int, int], tile_size: int) -> list[tuple[int, int]]:
    """Return the left upper corners (x, y) of the tiles of a canvas, row by row."""
    height, width = canvas_hw
    return [(x, y) for y in range(0, height, tile_size) for x in range(0, width, tile_size)]


class QuicksviewerVideoProcessor(BaseVideoProcessor):
    """Resizes each frame to the tower's square; the aspect ratio is not kept (docs/reference.md, section 2)."""

    model_input_names = ["pixel_values_videos", "frame_counts"]  # noqa: RUF012
    valid_kwargs = QuicksviewerVideoProcessorKwargs  # type: ignore[assignment]
    do_convert_rgb = True

    def __init__(self, frame_size: int = 384, **kwargs: Any) -> None:
        _check_settings(kwargs, ("frame_size",), type(self).__name__)
        super().__init__()
        self.frame_size = frame_size

    @classmethod
    def from_dict(  # type: ignore[override]
        cls, video_processor_dict: dict[str, Any], **kwargs: Any
    ) -> Any:
        """Make a processor of saved settings, or of the size in a released checkpoint's settings of SigLIP."""
        _check_unused(kwargs, ("frame_size",), cls.__name__)
        return super().from_dict(_own_settings(video_processor_dict, "frame_size"), **kwargs)

    def to_dict(self) -> dict[str, Any]:
        """Return what a reload needs; the settings of the base class are not used."""
        return {"video_processor_type": type(self).__name__, "frame_size": self.frame_size}

    def read(
        self,
        videos: Any,
        *,
        frame_size: int | None = None,
        num_frames: int | None = None,
        fps: float | None = None,
        do_sample_frames: bool | None = None,
        video_metadata: Any = None,
        do_convert_rgb: bool | None = None,
        input_data_format: str | None = None,
    ) -> list[VideoInput]:
        """Read videos: files by the frame rule of the released model, frames in memory as they are.

        Args:
            videos: one video or a list, nested or not: paths, uint8 arrays or tensors, lists of pictures,
                `VideoInput`s, `VideoSource`s.
            frame_size: side of a frame, instead of the processor's.
            num_frames: take that many frames, spread over the video; with `fps` the most that are taken.
            fps: frames per second; at most 420 frames unless `num_frames` says otherwise.
            do_sample_frames: False takes all frames; True samples arrays, too.
            video_metadata: frame rate and frame numbers of arrays, one for each video.
            do_convert_rgb: always done; False is refused.
            input_data_format: "channels_first" or "channels_last", where an array could be both.
        """
        check_rgb(do_convert_rgb)
        sampling = FrameSampling.of_options(num_frames, fps, do_sample_frames)
        given = flat_videos(videos)
        sources = [video if isinstance(video, VideoSource) else VideoSource(video) for video in given]
        if video_metadata is not None:
            metadata = list(flat_metadata(video_metadata))
            if len(metadata) != len(sources):
                raise InputError(f"video_metadata: {len(metadata)} are given for {len(sources)} videos")
            sources = [replace(source, metadata=facts) for source, facts in zip(sources, metadata, strict=True)]
        side = frame_size or self.frame_size
        return [read_source(source, sampling, side, data_format=input_data_format) for source in sources]

    def preprocess(
        self, videos: Any, *, frame_size: int | None = None, return_tensors: str | None = None, **reading: Any
    ) -> BatchFeature:
        """Read videos and bring them to one size; arguments as for `read`, `return_tensors="np"` for arrays.

        Returns:
            `pixel_values_videos` uint8 (ΣT, 3, S, S), the frames of all videos, and `frame_counts` (videos,).
        """
        read = self.read(videos, frame_size=frame_size, **reading)
        if not read:
            raise InputError("video processor: there is no video")
        resized = [_resize(as_frames(video.frames_THWC), frame_size or self.frame_size) for video in read]
        pixels = torch.from_numpy(resized[0] if len(resized) == 1 else np.concatenate(resized))
        counts = torch.tensor([len(video) for video in resized])
        data = {"pixel_values_videos": pixels.permute(0, 3, 1, 2), "frame_counts": counts}
        return _feature(data, return_tensors)


def _resize(frames_THWC: np.ndarray, side: int) -> np.ndarray:
    if frames_THWC.shape[1:3] == (side, side):
        return frames_THWC
    resized = np.empty((len(frames_THWC), side, side, 3), np.uint8)
    for target, frame in zip(resized, frames_THWC, strict=True):
        target[:] = np.asarray(Image.fromarray(frame).resize((side, side), Image.Resampling.BICUBIC))
    return resized


def _feature(data: dict[str, torch.Tensor], return_tensors: str | None) -> BatchFeature:
    kind = getattr(return_tensors, "value", return_tensors)
    if kind not in (None, "pt", "np"):
        raise InputError(f"return_tensors {kind!r} is unknown: use 'pt' or 'np'")
    return BatchFeature({name: value.numpy() for name, value in data.items()} if kind == "np" else data)


def _check_settings(kwargs: Mapping[str, Any], known: Sequence[str], owner: str) -> None:
    """Refuse settings that have no effect."""
    check_rgb(kwargs.get("do_convert_rgb"))
    unknown = {name: value for name, value in kwargs.items() if name not in (*_BOOKKEEPING, "do_convert_rgb")}
    refuse_unknown(unknown, known, owner)


def _check_unused(kwargs: Mapping[str, Any], known: Sequence[str], owner: str) -> None:
    """Refuse settings that have no effect, unless the caller wants them returned."""
    if not kwargs.get("return_unused_kwargs"):
        _check_settings({name: kwargs[name] for name in kwargs if name not in (*known, *_LOADING)}, known, owner)


def _own_settings(saved: Mapping[str, Any], size: str) -> dict[str, Any]:
    """Return saved settings; of SigLIP's, which released checkpoints have, the side of a picture."""
    if "image_mean" not in saved or not isinstance(saved.get("size"), Mapping):
        return dict(saved)
    return {size: saved["size"].get("height", 384)}


def saved_settings(
    pretrained: Any, saved: Mapping[str, Any], place: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the settings of a checkpoint's image and video processor; `saved` is its processor_config.json, if any."""
    if "image_processor" in saved:
        return dict(saved["image_processor"]), dict(saved["video_processor"])
    found = cached_file(
        pretrained,
        "preprocessor_config.json",
        **{key: value for key, value in place.items() if key in PLACE},
        _raise_exceptions_for_missing_entries=False,
    )
    siglip = json.loads(Path(found).read_text()) if found else {}
    side = siglip.get("size", {}).get("height", 384)
    return {"tile_size": side}, {"frame_size": side}
