"""The pipeline of transformers for images and texts, on a tiny checkpoint with random weights."""

import pytest
import torch
from PIL import Image
from random_checkpoint import make_random_checkpoint
from transformers import AutoModelForImageTextToText, AutoProcessor, pipeline

from qsv_eval.model_adapters.errors import InputError

PICTURE = Image.new("RGB", (120, 80), (200, 30, 90))
CHAT = [{"role": "user", "content": [{"type": "image", "image": PICTURE}, {"type": "text", "text": "What is it?"}]}]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return make_random_checkpoint(tmp_path_factory.mktemp("checkpoint"))


@pytest.fixture(scope="module")
def model(checkpoint):
    return AutoModelForImageTextToText.from_pretrained(checkpoint).eval()


@pytest.fixture(scope="module")
def processor(checkpoint):
    return AutoProcessor.from_pretrained(checkpoint)


@pytest.fixture(scope="module")
def answer(model, processor):
    """Generate by hand what a chat gets."""

    def generate(chat):
        batch = processor.apply_chat_template(
            chat, tokenize=True, return_dict=True, return_tensors="pt", add_generation_prompt=True
        )
        ids = model.generate(**batch, max_new_tokens=6, do_sample=False)
        return processor.decode(ids[0, batch["input_ids"].shape[1] :], skip_special_tokens=True)

    return generate


@pytest.fixture(scope="module", params=["by name", "by parts"])
def pipe(request, checkpoint, model, processor):
    if request.param == "by name":
        return pipeline("image-text-to-text", model=str(checkpoint), device="cpu")
    return pipeline("image-text-to-text", model=model, processor=processor, device="cpu")


def test_generate_returns_the_prompt_and_what_is_new(model, processor):
    batch = processor(text="<image>\nHi", images=PICTURE, return_tensors="pt")
    ids = model.generate(**batch, max_new_tokens=6, min_new_tokens=6, do_sample=False)
    written = batch["input_ids"].shape[1]
    assert torch.equal(ids[:, :written], batch["input_ids"])
    assert ids.shape == (1, written + 6)


def test_chats(pipe, answer):
    [reply] = pipe(text=CHAT, max_new_tokens=6)
    assert reply["generated_text"] == [*CHAT, {"role": "assistant", "content": answer(CHAT)}]
    [new] = pipe(text=CHAT, max_new_tokens=6, return_full_text=False)
    assert new["generated_text"] == answer(CHAT)
    for [one], chat in zip(pipe([CHAT, CHAT[:1]], max_new_tokens=6), (CHAT, CHAT), strict=True):
        assert one["generated_text"][-1]["content"] == answer(chat)


def test_images_beside_texts(pipe, processor, answer):
    text = processor.apply_chat_template(CHAT, add_generation_prompt=True)
    [one] = pipe(images=PICTURE, text=text, max_new_tokens=6)
    assert one["generated_text"] == text + answer(CHAT)
    texts = [text, text.replace("What", "Who")]
    both = pipe(images=[[PICTURE], [PICTURE]], text=texts, max_new_tokens=6, return_full_text=False)
    assert both[0]["generated_text"] == answer(CHAT)


def test_a_reply_that_has_begun_goes_on(pipe):
    begun = [*CHAT, {"role": "assistant", "content": [{"type": "text", "text": "It is "}]}]
    [reply] = pipe(text=begun, max_new_tokens=6)
    assert reply["generated_text"][-1]["content"][-1]["text"].startswith("It is ")


def test_what_does_not_fit_is_named(pipe):
    with pytest.raises(InputError, match="number of images: 0 and 1 were given"):
        pipe(images=PICTURE, text="Hi", max_new_tokens=2)
    with pytest.raises(InputError, match="'no_such_option' is unknown"):
        pipe(text=CHAT, max_new_tokens=2, no_such_option=1)
