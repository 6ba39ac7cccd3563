"""Reading of one image as upright RGB, as the reference does with `convert("RGB")`."""

import io
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

from qsv_eval.model_adapters.errors import MediaError, MediaFault
from qsv_eval.model_adapters.frames.content_id import size_bytes

__all__ = ["read_image"]

# Exceptions of Pillow's format plugins on damaged files: mostly OSError, but SyntaxError from PNG, struct.error from
# TIFF.
_DAMAGE = (OSError, SyntaxError, ValueError, EOFError, IndexError, OverflowError, struct.error, zlib.error)


def read_image(source: str | Path | bytes | Image.Image | np.ndarray) -> Image.Image:
    """Return upright RGB from a path, the bytes of a file, a PIL image or a uint8 `(H, W, 3)` array.

    EXIF rotation is applied, the first frame of an animation is taken, transparency is dropped as Pillow drops it.
    16-bit greys are scaled to 8 bits; Pillow's conversion would turn all but the darkest 256 levels white.
    Raises MediaError for a damaged or missing file.
    """
    if isinstance(source, np.ndarray):
        return _from_array(source)
    if isinstance(source, Image.Image):
        with _strict_pillow("an image in memory"):
            return _upright_rgb(source)
    with _strict_pillow("image bytes" if isinstance(source, bytes) else source), Image.open(_file(source)) as image:
        return _upright_rgb(image)


@contextmanager
def _strict_pillow(name: str | Path) -> Iterator[None]:
    """Raise MediaError for what Pillow raises, and let Pillow raise for truncated images.

    lmms-eval sets Pillow, for the whole process, to fill the missing part of a truncated image with grey.
    """
    lenient, ImageFile.LOAD_TRUNCATED_IMAGES = ImageFile.LOAD_TRUNCATED_IMAGES, False
    try:
        yield
    except UnidentifiedImageError as error:
        raise MediaError(name, MediaFault.UNDECODABLE, "not an image format that Pillow knows") from error
    except Image.DecompressionBombError as error:
        raise MediaError(name, MediaFault.UNDECODABLE, str(error)) from error
    except _DAMAGE as error:
        truncated = isinstance(error, EOFError) or "truncated" in str(error).lower()
        raise MediaError(name, MediaFault.TRUNCATED if truncated else MediaFault.UNDECODABLE, str(error)) from error
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = lenient


def _file(source: str | Path | bytes) -> Path | io.BytesIO:
    if isinstance(source, bytes):
        if not source:
            raise MediaError("image bytes", MediaFault.EMPTY, "0 bytes")
        return io.BytesIO(source)
    size_bytes(source)
    return Path(source)


def _from_array(array_HWC: np.ndarray) -> Image.Image:
    if array_HWC.dtype != np.uint8 or array_HWC.ndim != 3 or array_HWC.shape[2] != 3:
        raise ValueError(f"an image array must be uint8 (H, W, 3), not {array_HWC.dtype} {array_HWC.shape}")
    return Image.fromarray(array_HWC)


def _upright_rgb(image: Image.Image) -> Image.Image:
    upright = ImageOps.exif_transpose(image)
    # Before Pillow 11 a 16-bit PNG opens with mode "I".
    if upright.mode == "I" or upright.mode.startswith("I;16"):
        levels = np.asarray(upright).astype(np.int64) // 257
        upright = Image.fromarray(levels.clip(0, 255).astype(np.uint8))
    return upright.convert("RGB")
