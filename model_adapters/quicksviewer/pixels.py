"""Image and video processors: pictures of any size to the uint8 tiles and frames that the vision tower takes.

Values stay uint8 and are normalised on the device, a chunk at a time (`Perception.encode`): a quarter of the host
memory and of the transfer, and the same float32 values.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import BaseImageProcessor, BatchFeature
from transformers.image_processing_utils import select_best_resolution
from transformers.video_processing_utils import BaseVideoProcessor

from qsv_eval.model_adapters.errors import SetupError

__all__ = ["CANVASES_HW", "QuicksviewerImageProcessor", "QuicksviewerVideoProcessor", "cut_tiles", "tile_corners"]

CANVASES_HW = ((448, 224), (672, 224), (896, 224), (448, 448), (224, 448), (224, 672), (224, 896))
"""The reference's candidate canvases (`image_grid_pinpoints`), here as (height, width), in its order."""


class QuicksviewerImageProcessor(BaseImageProcessor):
    """Cuts images into square tiles ("anyres", spec model.md section 2.2)."""

    model_input_names = ["pixel_values", "tile_counts"]  # noqa: RUF012 - transformers' form

    def __init__(self, tile_size: int = 384, canvases_hw: Sequence[Sequence[int]] = CANVASES_HW, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.tile_size = tile_size
        self.canvases_hw = [list(canvas) for canvas in canvases_hw]

    def preprocess(self, images: Sequence[Image.Image], **_: Any) -> BatchFeature:
        """Cut RGB images into tiles.

        Returns:
            `pixel_values` uint8 (P, 3, S, S), the tiles of all images, and `tile_counts` (images,).
        """
        tiles = [cut_tiles(image, self.tile_size, self.canvases_hw) for image in images]
        pixels = torch.from_numpy(np.stack([np.asarray(tile) for group in tiles for tile in group]))
        counts = torch.tensor([len(group) for group in tiles])
        return BatchFeature({"pixel_values": pixels.permute(0, 3, 1, 2), "tile_counts": counts})

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
    """Squeezes frames to the tower's square, each alone; the aspect ratio is not kept (spec model.md section 2.2)."""

    model_input_names = ["pixel_values_videos", "frame_counts"]  # noqa: RUF012

    def __init__(self, frame_size: int = 384, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.frame_size = frame_size

    def to_dict(self) -> dict[str, Any]:
        """Return what a reload needs; the settings of the base class are not used."""
        return {"video_processor_type": type(self).__name__, "frame_size": self.frame_size}

    def preprocess(self, videos: Sequence[np.ndarray | torch.Tensor], **_: Any) -> BatchFeature:
        """Bring videos, each uint8 (T, H, W, 3), to one size.

        Returns:
            `pixel_values_videos` uint8 (ΣT, 3, S, S), the frames of all videos, and `frame_counts` (videos,).
        """
        resized = [self._resize(np.asarray(video)) for video in videos]
        pixels = torch.from_numpy(resized[0] if len(resized) == 1 else np.concatenate(resized))
        counts = torch.tensor([len(video) for video in resized])
        return BatchFeature({"pixel_values_videos": pixels.permute(0, 3, 1, 2), "frame_counts": counts})

    def _resize(self, frames_THWC: np.ndarray) -> np.ndarray:
        side = self.frame_size
        if frames_THWC.dtype != np.uint8 or frames_THWC.ndim != 4 or frames_THWC.shape[-1] != 3 or not len(frames_THWC):
            raise SetupError(
                "a video must be uint8 of shape (frames, height, width, 3) with at least one frame, not "
                f"{frames_THWC.dtype} {frames_THWC.shape}"
            )
        if frames_THWC.shape[1:3] == (side, side):
            return frames_THWC
        resized = np.empty((len(frames_THWC), side, side, 3), np.uint8)
        for target, frame in zip(resized, frames_THWC, strict=True):
            target[:] = np.asarray(Image.fromarray(frame).resize((side, side), Image.Resampling.BICUBIC))
        return resized
