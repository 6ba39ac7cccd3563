"""The tests that transformers has for every video processor."""

import unittest
from typing import Any

import pytest
from torch import Tensor
from transformers_tests.test_video_processing_common import VideoProcessingTestMixin, prepare_video_inputs

from qsv_eval.model_adapters.quicksviewer import QuicksviewerVideoProcessor

pytestmark = pytest.mark.hf


class QuicksviewerVideoProcessingTester:
    """Videos of several sizes, and settings that are not the processor's defaults."""

    batch_size = 3
    num_frames = 8
    num_channels = 3
    min_resolution = 30
    max_resolution = 80
    frame_size = 32

    def prepare_video_processor_dict(self) -> dict[str, Any]:
        return {"frame_size": self.frame_size}

    def expected_output_video_shape(self, videos: list) -> tuple[int, ...]:
        return self.num_frames, self.num_channels, self.frame_size, self.frame_size

    def prepare_video_inputs(self, equal_resolution: bool = False, return_tensors: str = "pil") -> list:
        return prepare_video_inputs(
            batch_size=self.batch_size,
            num_frames=self.num_frames,
            num_channels=self.num_channels,
            min_resolution=self.min_resolution,
            max_resolution=self.max_resolution,
            equal_resolution=equal_resolution,
            return_tensors=return_tensors,
        )


class QuicksviewerVideoProcessingTest(VideoProcessingTestMixin, unittest.TestCase):
    fast_video_processing_class = QuicksviewerVideoProcessor

    def setUp(self) -> None:
        super().setUp()
        self.video_processor_tester = QuicksviewerVideoProcessingTester()

    @property
    def video_processor_dict(self) -> dict[str, Any]:
        return self.video_processor_tester.prepare_video_processor_dict()

    def assert_expected_videos_shape(self, encoded_videos: Tensor, expected: tuple[int, ...], num_videos: int) -> None:
        """Frames of all videos lie behind one another."""
        self.assertEqual(tuple(encoded_videos.shape), (num_videos * expected[0], *expected[1:]))

    def test_call_numpy_4_channels(self) -> None:
        self.video_processor_tester.num_channels = 4  # of the pictures; frames are RGB
        videos = self.video_processor_tester.prepare_video_inputs()
        self.video_processor_tester.num_channels = 3
        frames = QuicksviewerVideoProcessor(**self.video_processor_dict)(videos)["pixel_values_videos"]
        self.assert_expected_videos_shape(
            frames, self.video_processor_tester.expected_output_video_shape(videos), len(videos)
        )

    def test_video_processor_from_dict_with_kwargs(self) -> None:
        processor = QuicksviewerVideoProcessor.from_dict(
            self.video_processor_dict, frame_size=16
        )  # not size, crop_size
        self.assertEqual(processor.frame_size, 16)
