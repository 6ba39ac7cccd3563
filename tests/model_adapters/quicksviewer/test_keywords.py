"""No public callable of the model's package swallows a keyword that it does not know."""

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image

import qsv_eval.model_adapters.quicksviewer as package
from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.model_adapters.quicksviewer import (
    Dialogue,
    QuicksviewerImageProcessor,
    QuicksviewerVideoProcessor,
    load_pretrained,
)
from qsv_eval.model_adapters.quicksviewer.checkpoint import load_checkpoint

CHAT = [{"role": "user", "content": "Hi"}]
UNKNOWN = {"no_such_option": 1}
EXEMPT = {
    "generation_mixin.MergedGenerationMixin.prepare_inputs_for_generation": "`generate` calls it with all it was given",
    "model_card.SavesModelCard.save_pretrained": "hands on to transformers, which takes any keyword",
}
"""Callables that take any keyword, and why."""

IMAGES, VIDEOS = QuicksviewerImageProcessor, QuicksviewerVideoProcessor
CLIP = np.zeros((2, 8, 8, 3), np.uint8)
CALLS: dict[str, Callable[[Any, Any], object]] = {
    "chat.Quicksviewer.chat": lambda qv, _: qv.chat(CHAT, **UNKNOWN),
    "chat.Quicksviewer.chat_batch": lambda qv, _: qv.chat_batch([CHAT], **UNKNOWN),
    "chat.Quicksviewer.generation": lambda qv, _: qv.generation(**UNKNOWN),
    "checkpoint.load_checkpoint": lambda _, folder: load_checkpoint(folder, **UNKNOWN),
    "dialogue.Dialogue.__init__": lambda qv, _: Dialogue(qv, **UNKNOWN),
    "loading.load_pretrained": lambda _, folder: load_pretrained(folder, device="cpu", **UNKNOWN),
    "generation_mixin.MergedGenerationMixin.generate": lambda qv, _: qv.model.generate(
        **qv.processor.encode([CHAT]), **UNKNOWN
    ),
    "modeling.QuicksviewerForConditionalGeneration.forward": lambda qv, _: qv.model(
        **qv.processor.encode([CHAT]), **UNKNOWN
    ),
    "modeling.QuicksviewerModel.forward": lambda qv, _: qv.model.model(**qv.processor.encode([CHAT]), **UNKNOWN),
    "image_processing.QuicksviewerImageProcessor.__init__": lambda _, __: IMAGES(**UNKNOWN),
    "image_processing.QuicksviewerImageProcessor.from_dict": lambda _, __: IMAGES.from_dict({}, **UNKNOWN),
    "image_processing.QuicksviewerVideoProcessor.__init__": lambda _, __: VIDEOS(**UNKNOWN),
    "image_processing.QuicksviewerVideoProcessor.from_dict": lambda _, __: VIDEOS.from_dict({}, **UNKNOWN),
    "image_processing.QuicksviewerVideoProcessor.preprocess": lambda _, __: VIDEOS().preprocess(CLIP, **UNKNOWN),
    "pretrained.QuicksviewerPreTrainedModel.from_pretrained": lambda qv, folder: type(qv.model).from_pretrained(
        folder, **UNKNOWN
    ),
    "processing.QuicksviewerProcessor.__call__": lambda qv, _: qv.processor(text="Hi", **UNKNOWN),
    "processing.QuicksviewerProcessor.apply_chat_template": lambda qv, _: qv.processor.apply_chat_template(
        CHAT, **UNKNOWN
    ),
}
"""Callables that hand keywords on, each with a call of it that must fail."""


def public_callables() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Yield the functions and methods of all modules' public names, inherited ones aside."""
    for info in pkgutil.iter_modules(package.__path__):
        module = importlib.import_module(f"{package.__name__}.{info.name}")
        for name in module.__all__:
            thing = getattr(module, name)
            if getattr(thing, "__module__", None) != module.__name__:
                continue
            if inspect.isfunction(thing):
                yield f"{info.name}.{name}", thing
            if inspect.isclass(thing):
                for method, member in vars(thing).items():
                    function = getattr(member, "__func__", member)
                    shown = not method.startswith("_") or method in ("__init__", "__call__")
                    if shown and inspect.isfunction(function):
                        yield f"{info.name}.{name}.{method}", function


PUBLIC = dict(public_callables())
OPEN = {
    name
    for name, function in PUBLIC.items()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in inspect.signature(function).parameters.values())
}


def test_every_open_callable_is_called_or_exempt():
    assert len(PUBLIC) > 100
    assert OPEN - CALLS.keys() - EXEMPT.keys() == set()
    assert CALLS.keys() <= OPEN, "a callable without **keywords needs no call: Python refuses for it"


@pytest.mark.parametrize("name", sorted(CALLS))
def test_unknown_keywords_are_named(qwen, reference, name):
    with pytest.raises((TypeError, ValueError, SetupError), match="no_such_option"):
        CALLS[name](qwen, reference / "qwen2")


def test_parts_of_the_processor_refuse_what_they_do_not_know():
    for processor, given in ((IMAGES(), Image.new("RGB", (9, 9))), (VIDEOS(), CLIP)):
        with pytest.raises(TypeError, match="no_such_option"):
            processor(given, **UNKNOWN)
