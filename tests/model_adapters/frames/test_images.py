import contextlib
import io

import numpy as np
import pytest
from PIL import Image, ImageFile

from qsv_eval.model_adapters.errors import MediaError, MediaFault
from qsv_eval.model_adapters.frames import read_image

PICTURE_HWC = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
PICTURE = Image.fromarray(PICTURE_HWC)


def encoded(image: Image.Image, kind: str = "PNG", **arguments) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **arguments)
    return buffer.getvalue()


def test_every_kind_of_source_is_the_same_picture(tmp_path):
    path = tmp_path / "picture.png"
    PICTURE.save(path)
    for source in (path, str(path), path.read_bytes(), PICTURE, PICTURE_HWC):
        image = read_image(source)
        assert image.mode == "RGB"
        assert np.array_equal(np.asarray(image), PICTURE_HWC)


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGBA", "CMYK", "YCbCr", "HSV"])
def test_modes_are_converted_as_pillow_does(mode):
    image = PICTURE.convert(mode)
    assert np.array_equal(np.asarray(read_image(image)), np.asarray(image.convert("RGB")))


def test_transparency_is_dropped_not_blended():
    image = PICTURE.copy()
    image.putalpha(0)
    assert np.array_equal(np.asarray(read_image(encoded(image))), PICTURE_HWC)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bit_greys_keep_their_range(kind):
    levels = np.linspace(0, 65535, 256).astype(np.uint16).reshape(16, 16)
    grey = np.asarray(read_image(encoded(Image.fromarray(levels), kind)))[..., 0]
    assert np.array_equal(grey, np.arange(256).reshape(16, 16))


def test_exif_rotation_is_applied():
    exif = Image.Exif()
    exif[0x0112] = 6  # Orientation: to be turned a quarter clockwise
    image = read_image(encoded(PICTURE, "PNG", exif=exif))
    assert np.array_equal(np.asarray(image), np.rot90(PICTURE_HWC, -1))


def test_animation_gives_its_first_picture():
    data = encoded(PICTURE, "WEBP", save_all=True, append_images=[Image.new("RGB", PICTURE.size)], lossless=True)
    assert np.array_equal(np.asarray(read_image(data)), PICTURE_HWC)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"])
def test_truncated_files_are_media_errors(tmp_path, kind):
    path = tmp_path / "cut"
    for share in (0.3, 0.6, 0.9):
        data = encoded(PICTURE, kind)
        path.write_bytes(data[: int(len(data) * share)])
        with pytest.raises(MediaError) as caught:
            read_image(path)
        assert caught.value.fault in {MediaFault.TRUNCATED, MediaFault.UNDECODABLE}
        assert str(path) in str(caught.value)


def test_cut_jpeg_is_called_truncated():
    with pytest.raises(MediaError) as caught:
        read_image(encoded(PICTURE, "JPEG")[:-200])
    assert caught.value.fault is MediaFault.TRUNCATED


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, about what it skips in a TIFF
def test_damaged_files_are_pictures_or_media_errors():
    rng = np.random.default_rng(0)
    for kind in ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"):
        for _ in range(60):
            data = bytearray(encoded(PICTURE, kind))
            for offset in rng.integers(0, len(data), 8):
                data[offset] = rng.integers(256)
            with contextlib.suppress(MediaError):
                assert read_image(bytes(data)).mode == "RGB"


def test_missing_empty_garbage(tmp_path):
    (tmp_path / "empty.png").touch()
    (tmp_path / "garbage.png").write_bytes(b"no image at all" * 100)
    for source, fault in [
        (tmp_path / "nowhere.png", MediaFault.MISSING),
        (tmp_path, MediaFault.MISSING),
        (tmp_path / "empty.png", MediaFault.EMPTY),
        (b"", MediaFault.EMPTY),
        (tmp_path / "garbage.png", MediaFault.UNDECODABLE),
        (b"no image at all", MediaFault.UNDECODABLE),
    ]:
        with pytest.raises(MediaError) as caught:
            read_image(source)
        assert caught.value.fault is fault


def test_decompression_bomb(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(MediaError, match="exceeds limit") as caught:
        read_image(encoded(PICTURE))
    assert caught.value.fault is MediaFault.UNDECODABLE


@pytest.mark.parametrize("array", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((4, 4, 4), np.uint8)])
def test_other_arrays_are_refused(array):
    with pytest.raises(ValueError, match=r"uint8 \(H, W, 3\)"):
        read_image(array)


@pytest.mark.parametrize("lenient", [False, True])
def test_pillow_is_strict_whatever_the_process_asked_for(tmp_path, monkeypatch, lenient):
    """lmms-eval makes Pillow fill truncated pictures with grey, for the whole process."""
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", lenient)
    path = tmp_path / "cut.png"
    data = encoded(PICTURE, "PNG")
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(MediaError):
        read_image(path)
    with pytest.raises(MediaError):
        read_image(Image.open(path))
    assert ImageFile.LOAD_TRUNCATED_IMAGES is lenient
