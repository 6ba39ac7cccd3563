"""The tests that transformers has for every image processor."""

import unittest
from typing import Any

import pytest
from transformers_tests.test_image_processing_common import ImageProcessingTester, ImageProcessingTestMixin

from qsv_eval.model_adapters.quicksviewer import QuicksviewerImageProcessor

pytestmark = pytest.mark.hf


class QuicksviewerImageProcessingTester(ImageProcessingTester):
    """Images of several sizes, and settings that are not the processor's defaults."""

    def __init__(self, parent: Any) -> None:
        super().__init__(parent, batch_size=3, max_resolution=80, tile_size=32)

    def _get_image_processing_classes(self) -> dict[str, type]:
        return {"pil": QuicksviewerImageProcessor}

    def prepare_image_processor_dict(self) -> dict[str, Any]:
        return {"tile_size": self.tile_size, "canvases_hw": [[64, 32], [32, 32]]}


class QuicksviewerImageProcessingTest(ImageProcessingTestMixin, unittest.TestCase):
    image_processor_tester_class = QuicksviewerImageProcessingTester

    def test_call_pil(self) -> None:
        self._check_call()

    def test_call_numpy(self) -> None:
        self._check_call(numpify=True)

    def test_call_pytorch(self) -> None:
        self._check_call(torchify=True)

    def test_call_numpy_4_channels(self) -> None:
        self._check_call(numpify=True, num_channels=4)

    def test_image_processor_from_dict_with_kwargs_has_attributes(self) -> None:
        processor = QuicksviewerImageProcessor.from_dict(self.image_processor_dict, tile_size=16)  # not do_convert_rgb
        self.assertEqual(processor.tile_size, 16)

    def _check_call(self, **form: Any) -> None:
        """Check one image and a batch; tiles of all images lie behind one another, as `tile_counts` says."""
        images = self.image_processor_tester.prepare_image_inputs(**form)
        side = self.image_processor_tester.tile_size
        processor = QuicksviewerImageProcessor(**self.image_processor_dict)
        for given, expected in ((images[0], 1), (images, len(images))):
            batch = processor(given, return_tensors="pt")
            self.assertEqual(len(batch.tile_counts), expected)
            self.assertEqual(tuple(batch.pixel_values.shape), (int(batch.tile_counts.sum()), 3, side, side))
