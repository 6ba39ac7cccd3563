"""The tests that transformers has for every processor."""

import unittest

import pytest
from random_checkpoint import byte_tokenizer
from transformers import PreTrainedTokenizerBase
from transformers_tests.test_processing_common import ProcessorTesterMixin

from qsv_eval.model_adapters.quicksviewer import (
    QuicksviewerImageProcessor,
    QuicksviewerProcessor,
    QuicksviewerVideoProcessor,
)

pytestmark = pytest.mark.hf

_SIDE = 32


class QuicksviewerProcessorTest(ProcessorTesterMixin, unittest.TestCase):
    processor_class = QuicksviewerProcessor

    @classmethod
    def _setup_tokenizer(cls) -> PreTrainedTokenizerBase:
        return byte_tokenizer()

    @classmethod
    def _setup_image_processor(cls) -> QuicksviewerImageProcessor:
        return QuicksviewerImageProcessor(_SIDE)

    @classmethod
    def _setup_video_processor(cls) -> QuicksviewerVideoProcessor:
        return QuicksviewerVideoProcessor(_SIDE)
