"""The tests that transformers has for every processor."""

import unittest
from collections.abc import Mapping
from typing import Any
from unittest.mock import patch

import pytest
import transformers_tests.test_processing_common as common
from random_checkpoint import byte_tokenizer
from transformers import PreTrainedTokenizerBase
from transformers_tests.test_processing_common import ProcessorTesterMixin

from qsv_eval.model_adapters.quicksviewer import (
    QuicksviewerImageProcessor,
    QuicksviewerProcessor,
    QuicksviewerVideoProcessor,
)

pytestmark = pytest.mark.hf

_SIDE, _OTHER_SIDE = 32, 16
_CANVASES_HW = ((64, 32), (32, 32))

# The mixin sets a processor's or a call's `rescale_factor` and looks for it in the pixels. Ours are not rescaled, so
# their size is set and looked for instead.
common.MODALITY_TEST_SPECS["images"]["init_time_kwargs"] = {"tile_size": _OTHER_SIDE}
common.MODALITY_TEST_SPECS["videos"]["init_time_kwargs"] = {"frame_size": _OTHER_SIDE}


class QuicksviewerProcessorTest(ProcessorTesterMixin, unittest.TestCase):
    processor_class = QuicksviewerProcessor

    @classmethod
    def _setup_tokenizer(cls) -> PreTrainedTokenizerBase:
        return byte_tokenizer()

    @classmethod
    def _setup_image_processor(cls) -> QuicksviewerImageProcessor:
        return QuicksviewerImageProcessor(_SIDE, _CANVASES_HW)

    @classmethod
    def _setup_video_processor(cls) -> QuicksviewerVideoProcessor:
        return QuicksviewerVideoProcessor(_SIDE)

    @property
    def video_sampling_expectations(self) -> list[dict[str, Any]]:
        """Frames lie along the first axis; those of an fps are found by their times: 0.0, 0.1, 0.2 and 0.3 s."""
        return [
            {"num_frames": 3, "fps": None, "expected_dim": 0, "output_length": 3},
            {"num_frames": None, "fps": 10, "expected_dim": 0, "output_length": 4},
            {"do_sample_frames": False, "expected_dim": 0, "output_length": 11},
        ]

    def _check_modality_outputs(self, inputs: Mapping[str, Any], modality: str) -> None:
        self.assertEqual(inputs[getattr(self, f"{modality}_input_name")].shape[-2:], (_OTHER_SIDE, _OTHER_SIDE))

    def test_save_load_pretrained_additional_features(self) -> None:
        options = {"cls_token": "(CLS)", "tile_size": _OTHER_SIDE, "frame_size": _OTHER_SIDE}  # not do_normalize
        processor = QuicksviewerProcessor.from_pretrained(self.tmpdirname, **options)
        self.assertEqual(processor.tokenizer.cls_token, "(CLS)")
        self.assertEqual(processor.image_processor.tile_size, _OTHER_SIDE)
        self.assertEqual(processor.video_processor.frame_size, _OTHER_SIDE)

    def test_apply_chat_template_video_frame_sampling(self) -> None:
        # The mixin knows the words in which transformers refuses to sample pictures.
        with patch.object(self, "assertRaisesRegex", lambda error, _: pytest.raises(error)):
            super().test_apply_chat_template_video_frame_sampling()

    def _test_apply_chat_template(self, *args: Any, **kwargs: Any) -> None:
        with patch.object(QuicksviewerProcessor, "apply_chat_template", _apply_chat_template_and_count):
            super()._test_apply_chat_template(*args, **kwargs)


_apply_chat_template = QuicksviewerProcessor.apply_chat_template


def _apply_chat_template_and_count(*args: Any, **kwargs: Any) -> Any:
    """Add the numbers of tiles or frames under the name by which the mixin knows that they lie behind one another."""
    result = _apply_chat_template(*args, **kwargs)
    if isinstance(result, Mapping):
        for name in {"tile_counts", "frame_counts"} & result.keys():
            result["num_frames_per_video"] = result[name]
    return result
