"""Tiles and frames against the reference's rules (tables.json `anyres`, docs/reference.md, section 2)."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoImageProcessor, AutoVideoProcessor

from qsv_eval.model_adapters.errors import InputError, SetupError
from qsv_eval.model_adapters.quicksviewer.image_processing import (
    CANVASES_HW,
    QuicksviewerImageProcessor,
    QuicksviewerVideoProcessor,
    cut_tiles,
)

ROWS = json.loads((Path(__file__).parents[2] / "data" / "reference" / "tables.json").read_text())["anyres"]["rows"]
SIDE = 384


def canvas_of(tiles, size):
    """Lay the tiles out again, row by row, on a canvas of so many pixels."""
    width, height = size
    columns = -(-width // SIDE)
    whole = np.zeros((-(-height // SIDE) * SIDE, columns * SIDE, 3), np.uint8)
    for number, tile in enumerate(tiles):
        y, x = number // columns * SIDE, number % columns * SIDE
        whole[y : y + SIDE, x : x + SIDE] = np.asarray(tile)
    return whole


@pytest.mark.parametrize("row", ROWS, ids=["x".join(map(str, row["image_wh"])) for row in ROWS])
def test_tiles_are_the_references(row):
    image = Image.new("RGB", tuple(row["image_wh"]), (255, 255, 255))
    tiles = cut_tiles(image, SIDE, CANVASES_HW)
    assert len(tiles) == row["n_patches_incl_base"]
    assert all(tile.size == (SIDE, SIDE) for tile in tiles)
    whole = canvas_of(tiles[1:], row["best_resolution_wh"])
    lit_y, lit_x = np.nonzero(whole[..., 0])
    box = [lit_x.min(), lit_y.min(), lit_x.max() + 1, lit_y.max() + 1]
    assert [int(edge) for edge in box] == row["content_box_xyxy_exclusive"]
    assert np.asarray(tiles[0]).min() == 255, "the first tile is the whole image, squeezed"


def test_images_of_a_batch_keep_their_order():
    colours = [(255, 0, 0), (0, 255, 0)]
    images = [Image.new("RGB", size, colour) for size, colour in zip([(448, 448), (100, 100)], colours, strict=True)]
    batch = QuicksviewerImageProcessor().preprocess(images)
    assert batch["pixel_values"].shape == (8, 3, SIDE, SIDE)
    assert batch["pixel_values"].dtype == torch.uint8
    assert batch["tile_counts"].tolist() == [5, 3]
    assert batch["pixel_values"][0, :, 0, 0].tolist() == [255, 0, 0]
    assert batch["pixel_values"][5, :, 0, 0].tolist() == [0, 255, 0]


def test_frames_are_squeezed_one_by_one(random_clip):
    clip = random_clip(3)[:, :40]
    batch = QuicksviewerVideoProcessor().preprocess([clip])
    expected = Image.fromarray(clip[1]).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    assert np.array_equal(batch["pixel_values_videos"][1].permute(1, 2, 0), expected)
    assert batch["frame_counts"].tolist() == [3]


def test_videos_of_several_sizes_make_one_batch(random_clip):
    fitting = np.zeros((2, SIDE, SIDE, 3), np.uint8)
    batch = QuicksviewerVideoProcessor().preprocess([random_clip(3), fitting])
    assert batch["pixel_values_videos"].shape == (5, 3, SIDE, SIDE)
    assert batch["frame_counts"].tolist() == [3, 2]


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [((2, 8, 8, 3), np.float32), ((2, 5, 8, 8), np.uint8), ((8, 8), np.uint8), ((0, 8, 8, 3), np.uint8)],
    ids=["float", "five channels", "one frame without its axis", "no frames"],
)
def test_other_arrays_are_refused(shape, dtype):
    with pytest.raises(SetupError, match=r"must be uint8 of shape \(frames, height, width, 3\)"):
        QuicksviewerVideoProcessor().preprocess(np.zeros(shape, dtype))


def test_channels_first_give_the_same_pixels(random_clip):
    clip, processor = random_clip(3)[:, :40], QuicksviewerVideoProcessor(40)
    expected = processor(clip)["pixel_values_videos"]
    for same in (np.moveaxis(clip, -1, 1), torch.from_numpy(clip).permute(0, 3, 1, 2), [clip]):
        pixels = processor(same)["pixel_values_videos"]
        assert torch.equal(pixels, expected)
        assert pixels.stride() == expected.stride(), "a convolution rounds by how pixels lie in memory"


def test_sizes_of_a_call():
    image, clip = Image.new("RGB", (100, 100)), np.zeros((2, 8, 8, 3), np.uint8)
    tiles = QuicksviewerImageProcessor()(image, tile_size=64, canvases_hw=[(64, 128)])
    assert tiles["pixel_values"].shape == (3, 3, 64, 64)
    frames = QuicksviewerVideoProcessor()(clip, frame_size=16, return_tensors="np")
    assert frames["pixel_values_videos"].shape == (2, 3, 16, 16)
    assert isinstance(frames["frame_counts"], np.ndarray)


@pytest.mark.parametrize(
    "processor",
    [QuicksviewerImageProcessor(96, [(96, 192), (48, 96)]), QuicksviewerVideoProcessor(96)],
    ids=["images", "videos"],
)
def test_settings_survive_saving(processor, tmp_path):
    processor.save_pretrained(tmp_path)
    auto = AutoImageProcessor if isinstance(processor, QuicksviewerImageProcessor) else AutoVideoProcessor
    for loaded in (type(processor).from_pretrained(tmp_path), auto.from_pretrained(tmp_path)):
        assert type(loaded) is type(processor)
        assert loaded.to_dict() == processor.to_dict()
        assert json.loads(loaded.to_json_string()) == processor.to_dict()
    size = "tile_size" if auto is AutoImageProcessor else "frame_size"
    assert getattr(type(processor).from_pretrained(tmp_path, **{size: 48}), size) == 48
    assert getattr(type(processor).from_dict(processor.to_dict()), size) == 96


@pytest.mark.parametrize("processor", [QuicksviewerImageProcessor, QuicksviewerVideoProcessor])
def test_released_checkpoints_say_the_size_of_siglip(processor, reference):
    size = json.loads((reference / "qwen2" / "preprocessor_config.json").read_text())["size"]["height"]
    assert size in processor.from_pretrained(reference / "qwen2").to_dict().values()


@pytest.mark.parametrize("processor", [QuicksviewerImageProcessor, QuicksviewerVideoProcessor])
@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"do_normalize": True}, "'do_normalize' is not offered: pixels stay uint8"),
        ({"no_such_option": 1}, "'no_such_option' is unknown"),
        ({"do_convert_rgb": False}, "do_convert_rgb=False is not offered"),
    ],
)
def test_other_settings_are_refused(processor, settings, complaint):
    with pytest.raises(InputError, match=complaint):
        processor(**settings)


@pytest.mark.parametrize("processor", [QuicksviewerImageProcessor, QuicksviewerVideoProcessor])
def test_nothing_to_process_is_refused(processor):
    with pytest.raises(InputError, match="there is no"):
        processor()([])
    with pytest.raises(InputError, match="return_tensors 'tf' is unknown"):
        processor()(np.zeros((1, 8, 8, 3), np.uint8), return_tensors="tf")
