"""The models beside the library's own: Auto classes, outputs, Trainer, PEFT, quantisation and offloading."""

import peft
import pytest
import torch
from transformers import AutoModel, AutoModelForImageTextToText, BitsAndBytesConfig, Trainer, TrainingArguments

from qsv_eval.model_adapters.quicksviewer import load_pretrained
from qsv_eval.model_adapters.quicksviewer.messages import VideoInput

LEARNED = 6
"""Tokens at the end of the conversation that have a label."""


@pytest.fixture(scope="module")
def qv(tiny):
    return load_pretrained(tiny, device="cpu", dtype="float32")


@pytest.fixture(scope="module")
def conversation(random_clip):
    clip = {"type": "video", "video": VideoInput(random_clip(8), [0.5 + i for i in range(8)])}
    question = {"role": "user", "content": [clip, {"type": "text", "text": "What?"}]}
    return [question, {"role": "assistant", "content": "Yes"}]


@pytest.fixture
def batch(qv, conversation):
    return qv.processor.encode([conversation], add_generation_prompt=False)


@pytest.fixture
def labels(batch):
    ids = batch["input_ids"]
    return torch.cat([torch.full_like(ids[:, :-LEARNED], -100), ids[:, -LEARNED:]], 1)


@torch.no_grad()
def logits_of(model, batch):
    return model.eval()(**batch).logits


@pytest.fixture
def expected(qv, batch):
    return logits_of(qv.model, batch)


def fresh(tiny):
    return load_pretrained(tiny, device="cpu", dtype="float32").model


@torch.no_grad()
def test_the_base_model_has_a_state_for_each_written_token(qv, tiny, batch, expected):
    base = AutoModel.from_pretrained(tiny, dtype="float32").eval()
    states = base(**batch).last_hidden_state
    assert states.shape[:2] == batch["input_ids"].shape
    assert torch.equal(qv.model.lm_head(states), expected)


@torch.no_grad()
def test_states_of_unequal_rows_are_those_of_each_row(qv, conversation, batch, expected):
    """Whichever side rows are padded at."""
    words = [{"role": "user", "content": "A question without a video, and some more words to make it longer. " * 3}]
    both = qv.processor.encode([words, conversation], add_generation_prompt=False)
    length = batch["input_ids"].shape[1]
    torch.testing.assert_close(qv.model(**both).logits[1, :length], expected[0], atol=1e-4, rtol=1e-4)
    shift = both["input_ids"].shape[1] - length
    assert shift > 0
    left = {name: both[name][1:].roll(shift, 1) for name in ("input_ids", "attention_mask", "visual_kind", "frame_ids")}
    rest = {name: batch[name] for name in ("pixel_values_videos", "frame_counts")}
    found = qv.model(**left, **rest).logits[0, shift:]
    torch.testing.assert_close(found, expected[0], atol=1e-4, rtol=1e-4)


def test_outputs_as_tuples_begin_with_loss_and_logits(qv, batch, labels):
    plain = qv.model(**batch, labels=labels)
    loss, logits, *_, gate_loss = qv.model(**batch, labels=labels, return_dict=False)
    assert (loss, gate_loss) == (plain.loss, plain.gate_loss)
    assert torch.equal(logits, plain.logits)
    assert torch.equal(qv.model(**batch, return_dict=False)[0], plain.logits)


@torch.no_grad()
def test_embeddings_do_for_ids(qv, batch, expected):
    """Where ids are embedded beforehand, placeholders are zero, and the pixels find their places."""
    ids = batch.pop("input_ids")
    embeds = qv.model.get_input_embeddings()(ids)
    assert not embeds[ids == qv.model.config.image_token_id].any()
    torch.testing.assert_close(qv.model(inputs_embeds=embeds, **batch).logits, expected)


def test_inputs_that_do_not_belong_together_are_refused(qv, batch):
    model, ids = qv.model, batch["input_ids"]
    pixels = {"pixel_values_videos": batch["pixel_values_videos"], "frame_counts": batch["frame_counts"]}
    with pytest.raises(ValueError, match="pixel_values_videos: without visual_kind it has no place in the text"):
        model(input_ids=ids, **pixels)
    with pytest.raises(ValueError, match="input_ids: there are visual placeholders, but no visual_kind"):
        model(input_ids=ids)
    with pytest.raises(ValueError, match="either input_ids or inputs_embeds"):
        model(attention_mask=batch["attention_mask"])
    with pytest.raises(ValueError, match="frame_counts is missing"):
        model(**{**batch, "frame_counts": None})
    with pytest.raises(ValueError, match="position_ids: with visual_kind"):
        model(**batch, position_ids=torch.arange(ids.shape[1])[None])
    with pytest.raises(ValueError, match="visual_kind: has 3 tokens a row"):
        model(**{**batch, "visual_kind": batch["visual_kind"][:, :3]})
    with pytest.raises(TypeError, match="unexpected keyword argument 'pixel_valuez'"):
        model(**batch, pixel_valuez=1)


def test_a_trainer_predicts_logits(qv, batch, labels, expected, tmp_path):
    options = TrainingArguments(tmp_path, report_to=[], remove_unused_columns=False, use_cpu=True)
    trainer = Trainer(qv.model, options, data_collator=lambda rows: {**batch, "labels": labels})
    predicted = trainer.predict([{"row": 0}])
    torch.testing.assert_close(torch.tensor(predicted.predictions), expected)
    assert predicted.label_ids.shape == expected.shape[:2]


def test_lora_on_all_linear_layers(tiny, batch, labels, expected, tmp_path):
    """Every adapter learns but for the tower's head, which is never run; saved, loaded and merged it is the same."""
    adapted = peft.get_peft_model(fresh(tiny), peft.LoraConfig(r=4, target_modules="all-linear"))
    with torch.no_grad():
        torch.testing.assert_close(logits_of(adapted, batch), expected)
    for name, value in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(value, std=0.05)
    learned = [(name, value) for name, value in adapted.named_parameters() if value.requires_grad]
    optimiser = torch.optim.AdamW([value for _, value in learned], lr=1e-3)
    for _ in range(2):
        optimiser.zero_grad()
        adapted.train()(**batch, labels=labels).loss.backward()
        optimiser.step()
    silent = {name for name, value in learned if value.grad is None or not value.grad.any()}
    assert silent
    assert all(".vision_tower.head." in name for name in silent)
    assert {"gate.logits", "resampler.kv_proj", "resampler.attn.out_proj"} <= {
        name.split(".perception.")[1].split(".lora_")[0] for name, _ in learned if ".perception." in name
    }
    made = logits_of(adapted, batch)
    assert (made - expected).abs().max() > 1e-3
    adapted.save_pretrained(tmp_path)
    loaded = peft.PeftModel.from_pretrained(fresh(tiny), tmp_path)
    torch.testing.assert_close(logits_of(loaded, batch), made, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(logits_of(loaded.merge_and_unload(), batch), made, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", [peft.PromptTuningConfig, peft.PrefixTuningConfig])
def test_prompt_learning_learns_and_generates(tiny, batch, labels, expected, kind):
    model = peft.get_peft_model(fresh(tiny), kind(task_type="CAUSAL_LM", num_virtual_tokens=4))
    out = model(**batch, labels=labels)
    out.loss.backward()
    [(name, value)] = [(name, value) for name, value in model.named_parameters() if value.requires_grad]
    assert value.grad.abs().sum() > 0, name
    with torch.no_grad():
        assert not torch.allclose(out.logits[:, -1], expected[:, -1])
    options = {"max_new_tokens": 4, "do_sample": False, "return_dict_in_generate": True, "output_logits": True}
    made = model.eval().generate(**batch, **options)
    length = batch["input_ids"].shape[1]
    assert torch.equal(made.sequences[:, :length], batch["input_ids"])
    torch.testing.assert_close(made.logits[0], out.logits[:, -1], atol=1e-4, rtol=1e-4)


def test_offloaded_to_disk(tiny, batch, expected, conversation, qv, tmp_path):
    for number, places in enumerate(
        [
            {"model.perception": "disk", "model.language_model": "cpu", "lm_head": "disk"},
            {"model": "disk", "lm_head": "cpu"},
        ]
    ):
        folder = tmp_path / str(number)
        model = AutoModelForImageTextToText.from_pretrained(
            tiny, dtype="float32", device_map=places, offload_folder=folder
        )
        torch.testing.assert_close(logits_of(model, batch), expected)
    places = {"model.perception": "disk", "model.language_model": "disk", "lm_head": "cpu"}
    chatty = load_pretrained(tiny, dtype="float32", device_map=places, offload_folder=tmp_path / "chat")
    said, wanted = (one.chat(conversation[:1], max_new_tokens=4) for one in (chatty, qv))
    assert (said.token_ids, said.cubes) == (wanted.token_ids, wanted.cubes)


@pytest.mark.parametrize("bits", [4, 8])
def test_quantised_on_the_cpu(tiny, batch, expected, conversation, bits):
    """The language model is, perception and head are not, whoever makes the config."""
    pytest.importorskip("bitsandbytes")
    config = BitsAndBytesConfig(load_in_4bit=bits == 4, load_in_8bit=bits == 8)
    plain = AutoModelForImageTextToText.from_pretrained(tiny, quantization_config=config, device_map={"": "cpu"})
    ours = load_pretrained(tiny, device="cpu", bits=bits)
    for model in (plain, ours.model):
        kinds = {
            part: {type(one).__name__ for one in model.get_submodule(part).modules()} & {"Linear4bit", "Linear8bitLt"}
            for part in ("model.perception", "model.language_model")
        }
        assert kinds == {"model.perception": set(), "model.language_model": {("Linear4bit", "Linear8bitLt")[bits == 8]}}
        error = (logits_of(model, batch) - expected).abs().max()
        assert 0 < error < (0.4 if bits == 4 else 0.05)
    assert len(ours.chat(conversation[:1], max_new_tokens=3).token_ids) == 3
