"""Images and videos in every form that callers hold them in."""

import base64
import io

import numpy as np
import pytest
import torch
from PIL import Image
from transformers.video_utils import VideoMetadata

from qsv_eval.model_adapters.errors import InputError, MediaError
from qsv_eval.model_adapters.frames import FrameRule
from qsv_eval.model_adapters.quicksviewer.media_inputs import (
    FrameSampling,
    VideoSource,
    as_frames,
    as_image,
    flat_images,
    flat_videos,
    read_source,
)
from qsv_eval.model_adapters.quicksviewer.messages import DecodedImage, VideoInput

PICTURE_HWC = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
PICTURE = Image.fromarray(PICTURE_HWC)
CLIP_THWC = np.random.default_rng(1).integers(0, 256, (6, 20, 30, 3), dtype=np.uint8)


def tensor(array):
    return torch.from_numpy(array.copy())


def png(image):
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


FIRST_CHW = np.moveaxis(PICTURE_HWC, -1, 0)
ALPHA_HWC = np.concatenate([PICTURE_HWC, PICTURE_HWC[..., :1]], -1)


@pytest.mark.parametrize(
    "source",
    [
        *(
            PICTURE,
            PICTURE_HWC,
            PICTURE_HWC[None],
            FIRST_CHW,
            FIRST_CHW[None],
            ALPHA_HWC,
            np.moveaxis(ALPHA_HWC, -1, 0),
        ),
        *(tensor(PICTURE_HWC), tensor(FIRST_CHW), tensor(FIRST_CHW)[None], png(PICTURE), Image.fromarray(ALPHA_HWC)),
        "data:image/png;base64," + base64.b64encode(png(PICTURE)).decode(),
    ],
)
def test_one_picture_in_many_forms(source):
    image = as_image(source)
    assert image.mode == "RGB"
    assert np.array_equal(image, PICTURE_HWC)


@pytest.mark.parametrize("address", [str, lambda path: path, lambda path: path.as_uri()], ids=["text", "path", "url"])
def test_image_files(tmp_path, address):
    path = tmp_path / "a picture.png"
    PICTURE.save(path)
    assert np.array_equal(as_image(address(path)), PICTURE_HWC)


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "PA", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV"])
def test_modes_are_converted_as_pillow_does(mode):
    image = PICTURE.convert("P").convert("PA") if mode == "PA" else PICTURE.convert(mode)
    assert np.array_equal(as_image(image), image.convert("RGB"))


def test_sixteen_bits_keep_their_range():
    levels = np.linspace(0, 65535, 256).astype(np.uint16).reshape(16, 16)
    assert np.array_equal(np.asarray(as_image(Image.fromarray(levels)))[..., 1], np.arange(256).reshape(16, 16))


@pytest.mark.parametrize("array", [PICTURE_HWC[..., 0], PICTURE_HWC[..., :1], PICTURE_HWC[None, ..., 0]])
def test_grey_arrays(array):
    assert np.array_equal(as_image(array), PICTURE_HWC[..., :1].repeat(3, -1))


def test_axes_that_could_both_be_channels():
    array = PICTURE_HWC[:3, :20]
    assert np.array_equal(as_image(array), array)
    assert np.array_equal(as_image(array, "channels_last"), array)
    turned = np.moveaxis(PICTURE_HWC[:, :3], -1, 0)  # (3, 20, 3)
    assert np.array_equal(as_image(tensor(turned)), PICTURE_HWC[:, :3])
    assert np.array_equal(as_image(turned, "channels_first"), PICTURE_HWC[:, :3])


def test_turned_pictures_are_set_upright():
    PICTURE.getexif()
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    PICTURE.save(buffer, "PNG", exif=exif)
    with Image.open(buffer) as opened:
        assert np.array_equal(as_image(opened), np.rot90(PICTURE_HWC, -1))


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        (PICTURE_HWC / 255, "not float64 .* multiply values from 0 to 1 by 255 and cast them to uint8"),
        (tensor(PICTURE_HWC).to(torch.bfloat16), "multiply values from 0 to 1 by 255"),
        (PICTURE_HWC.astype(np.int64), "not int64 .* cast them to uint8"),
        (PICTURE_HWC.astype(np.uint16), r"scale the values to 0…255"),
        (PICTURE_HWC[..., :2], r"uint8 of shape \(H, W, 3\)"),
        (np.stack([PICTURE_HWC] * 2), r"not uint8 \(2, 20, 30, 3\)"),
        (np.zeros((0, 4, 3), np.uint8), "uint8 of shape"),
        (PICTURE.convert("F"), "mode F"),
        (DecodedImage(3), "not a DecodedImage; it has no pixels any more"),
        (3, "not a int"),
        ("https://example.com/a.png", "is not downloaded; save it and give the path"),
        ("file://server/a.png", "names a file of this machine"),
        ("data:image/png,raw", "must be base64"),
    ],
)
def test_other_images_are_refused(source, complaint):
    with pytest.raises(InputError, match=complaint):
        as_image(source)


def test_an_unknown_format_is_refused():
    with pytest.raises(InputError, match="input_data_format 'sideways' is unknown"):
        as_image(PICTURE_HWC, "sideways")


@pytest.mark.parametrize(
    "source",
    [
        *(CLIP_THWC, CLIP_THWC[None], np.moveaxis(CLIP_THWC, -1, 1), tensor(CLIP_THWC)),
        *(tensor(np.moveaxis(CLIP_THWC, -1, 1)), tensor(CLIP_THWC)[None], list(CLIP_THWC)),
        [Image.fromarray(frame) for frame in CLIP_THWC],
        tuple(tensor(np.moveaxis(frame, -1, 0)) for frame in CLIP_THWC),
    ],
)
def test_one_video_in_many_forms(source):
    frames = as_frames(source)
    assert np.array_equal(frames, CLIP_THWC)
    assert frames.flags.c_contiguous


def test_frames_as_files(tmp_path):
    paths = []
    for number, frame in enumerate(CLIP_THWC):
        Image.fromarray(frame).save(tmp_path / f"{number}.png")
        paths.append(str(tmp_path / f"{number}.png"))
    assert np.array_equal(as_frames(paths), CLIP_THWC)
    assert flat_videos(paths) == [paths]
    assert flat_videos([[paths], ["a.mp4"]]) == [paths, "a.mp4"]


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        (CLIP_THWC / 255, "multiply values from 0 to 1 by 255"),
        (CLIP_THWC[0], "must be uint8 of shape"),
        (CLIP_THWC[:0], "at least one frame"),
        ([], "not an empty list"),
        (np.stack([CLIP_THWC] * 2), r"not uint8 \(2, 6, 20, 30, 3\)"),
        ([PICTURE, PICTURE.resize((9, 9))], r"its frames differ in size, \(9, 9\) and \(20, 30\)"),
        (3, "not a int"),
    ],
)
def test_other_videos_are_refused(source, complaint):
    with pytest.raises(InputError, match=complaint):
        as_frames(source)


def test_nested_lists_are_flattened_in_order():
    one, two, three = PICTURE, PICTURE_HWC, "c.png"
    assert flat_images([[one], [], [two, three]])[::2] == [one, three]
    assert len(flat_images(np.stack([PICTURE_HWC] * 3))) == 3
    assert flat_images(one) == [one]
    clips = [CLIP_THWC, VideoInput(CLIP_THWC), list(CLIP_THWC), "a.mp4"]
    assert all(ours is theirs for ours, theirs in zip(flat_videos([clips[:1], [], clips[1:]]), clips, strict=True))
    assert len(flat_videos(np.stack([CLIP_THWC] * 2))) == 2


def sampled(*, metadata=None, timestamps=None, **options):
    source = VideoSource(CLIP_THWC, timestamps=timestamps, metadata=metadata)
    video = read_source(source, FrameSampling.of_options(**options), 384)
    return [int(np.argmax([np.array_equal(frame, one) for one in CLIP_THWC])) for frame in video.frames_THWC], video


def test_arrays_are_sampled_on_request():
    assert sampled()[0] == [0, 1, 2, 3, 4, 5]
    assert sampled(num_frames=3)[0] == [1, 3, 5]
    assert sampled(num_frames=3, do_sample_frames=False)[0] == [0, 1, 2, 3, 4, 5]
    assert sampled(num_frames=9)[0] == [0, 1, 2, 3, 4, 5]
    assert sampled(num_frames=2, timestamps=[0, 1, 2, 3, 4, 5])[1].timestamps_s == [1, 4]
    with pytest.raises(InputError, match="no frame rate to sample by"):
        sampled(fps=2)
    with pytest.raises(InputError, match="no frame rate to sample by"):
        sampled(do_sample_frames=True)


def test_metadata_gives_arrays_a_clock():
    clock = VideoMetadata(total_num_frames=6, fps=2.0)
    assert sampled(metadata=clock)[1].timestamps_s == [0, 0.5, 1, 1.5, 2, 2.5]
    assert sampled(metadata={"fps": 2.0}, fps=1)[0] == [1, 3, 5]
    picked = sampled(metadata={"fps": 10, "frames_indices": [0, 5, 10, 15, 20, 25]})[1]
    assert picked.timestamps_s == [0, 0.5, 1, 1.5, 2, 2.5]
    with pytest.raises(InputError, match="2 frames_indices for 6 frames"):
        sampled(metadata={"fps": 10, "frames_indices": [0, 5]})
    with pytest.raises(InputError, match="give one of them"):
        sampled(metadata=clock, timestamps=[0, 1, 2, 3, 4, 5])


def test_options_of_transformers_as_frame_rules():
    rules = FrameSampling.of_options
    assert rules().rule == FrameRule()
    assert rules(fps=2).rule == FrameRule(2.0)
    assert rules(fps=0.25).rule == FrameRule(0.25, name="blocks")
    assert rules(fps=2, num_frames=8).rule == FrameRule(2.0, 8)
    assert rules(num_frames=8).rule.indices(30, 300) == FrameRule(30, 8, "blocks").indices(30, 300)
    assert rules(do_sample_frames=False, fps=1).rule.indices(30, 300) == list(range(300))


def test_times_of_a_video_that_has_its_own():
    with pytest.raises(InputError, match="a Video has its own times"):
        read_source(VideoSource(VideoInput(CLIP_THWC), timestamps=[0] * 6), FrameSampling.of_options(), 384)
    with pytest.raises(InputError, match="start_s is for files"):
        read_source(VideoSource(CLIP_THWC, start_s=1.0), FrameSampling.of_options(), 384)
    with pytest.raises(InputError, match="video_metadata are for frames given as an array"):
        read_source(VideoSource("a.mp4", metadata={"fps": 1}), FrameSampling.of_options(), 384)
    with pytest.raises(MediaError, match=r"absent\.mp4"):
        read_source(VideoSource("absent.mp4"), FrameSampling.of_options(), 384)
