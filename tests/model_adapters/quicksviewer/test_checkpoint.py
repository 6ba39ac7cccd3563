"""Loading: released and saved checkpoints, folders, hub ids, adapters, and what must be refused."""

import json
import os
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModel, AutoModelForImageTextToText, AutoProcessor, Qwen2Config
from transformers.conversion_mapping import get_model_conversion_mapping
from transformers.core_model_loading import rename_source_key

from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.model_adapters.quicksviewer import (
    QuicksviewerForConditionalGeneration,
    QuicksviewerProcessor,
    load_pretrained,
)
from qsv_eval.model_adapters.quicksviewer.checkpoint import load_checkpoint
from qsv_eval.model_adapters.quicksviewer.configuration import ReleasedLlamaConfig, ReleasedQwenConfig
from qsv_eval.model_adapters.quicksviewer.messages import VideoInput


@pytest.fixture
def batch(qv, random_clip):
    return make_batch(qv.processor, random_clip)


@pytest.fixture
def qwen_batch(qwen, random_clip):
    return make_batch(qwen.processor, random_clip)


def make_batch(processor, random_clip):
    parts = [{"type": "video", "video": VideoInput(random_clip(3), [0.5, 1.5, 2.5])}, {"type": "text", "text": "Hi"}]
    return processor.encode([[{"role": "user", "content": parts}]])


@torch.no_grad()
def logits(model, batch):
    return model.eval()(**batch).logits


def same(ours, theirs):
    return (ours - theirs).abs().max() < 1e-5 * theirs.abs().max()


def load(folder, **options):
    return load_pretrained(folder, device="cpu", **options)


def test_auto_classes_load_a_release_unchanged(qv, model_name, reference, batch):
    folder = reference / model_name
    assert not os.path.exists(json.loads((folder / "config.json").read_text())["mm_vision_tower"])
    model, report = AutoModelForImageTextToText.from_pretrained(folder, output_loading_info=True)
    assert isinstance(model, QuicksviewerForConditionalGeneration)
    assert not any(report.values())
    processor = AutoProcessor.from_pretrained(folder)
    assert isinstance(processor, QuicksviewerProcessor)
    assert processor.image_token_id == model.config.image_token_id
    assert torch.equal(logits(model, batch), logits(qv.model, batch))


def test_class_itself_loads_a_release(qwen, reference, qwen_batch):
    model = QuicksviewerForConditionalGeneration.from_pretrained(reference / "qwen2")
    assert torch.equal(logits(model, qwen_batch), logits(qwen.model, qwen_batch))


@pytest.mark.parametrize("original", [True, False], ids=["released names", "own names"])
def test_saved_and_loaded_gives_the_same_logits(qv, batch, tmp_path, original):
    qv.model.save_pretrained(tmp_path, save_original_format=original)
    qv.processor.save_pretrained(tmp_path)
    names = load_file(tmp_path / "model.safetensors").keys()
    assert any(name.startswith("model.cubing.") for name in names) == original
    loaded = load(tmp_path, dtype="float32")
    weights = loaded.model.state_dict()
    assert weights.keys() == qv.model.state_dict().keys()
    assert all(torch.equal(weights[name], tensor) for name, tensor in qv.model.state_dict().items())
    # Weights lie in memory as they lie in the file, and some processors' kernels round by that.
    ours, theirs = logits(loaded.model, batch), logits(qv.model, batch)
    assert (ours - theirs).abs().max() <= 1e-5 * theirs.abs().max()


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_buffers_that_are_not_saved_are_right(qv, model_name, reference, dtype):
    """transformers 5 builds models without memory first: what no file holds must be made again."""
    model = load(reference / model_name, dtype=dtype).model
    fresh = QuicksviewerForConditionalGeneration(model.config)
    buffers, expected = dict(model.named_buffers()), dict(fresh.named_buffers())
    assert {name.rpartition(".")[2] for name in buffers} >= {"inv_freq", "position_ids"}
    assert buffers.keys() == expected.keys()
    for name, buffer in buffers.items():
        assert buffer.dtype == expected[name].dtype, name
        assert torch.equal(buffer, expected[name]), name


@pytest.mark.parametrize("dtype", ["bfloat16", torch.bfloat16])
def test_dtype_is_an_option(reference, dtype):
    model = load(reference / "qwen2", dtype=dtype).model
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}
    assert model.dtype == torch.bfloat16


def test_dtype_auto_is_the_checkpoints(reference, released):
    assert load(reference / "qwen2").model.dtype == torch.float32
    half = released(config={"torch_dtype": "bfloat16"})
    assert load(half, dtype="auto").model.dtype == torch.bfloat16


def test_device_is_the_accelerator_if_there_is_one(reference):
    available = torch.accelerator.is_available()
    expected = torch.accelerator.current_accelerator() if available else torch.device("cpu")
    assert load_pretrained(reference / "qwen2").model.device.type == expected.type


def test_auto_model_loads_what_stands_below_the_head(qwen, reference):
    model, report = AutoModel.from_pretrained(reference / "qwen2", output_loading_info=True)
    assert not report["missing_keys"]
    assert torch.equal(model.perception.resampler.query, qwen.model.model.perception.resampler.query)


def test_chunk_and_attention_are_options(reference, qwen):
    loaded = load(reference / "qwen2", chunk_frames=3, attn_implementation="eager")
    assert loaded.model.model.perception.chunk_frames == 3
    assert qwen.model.model.perception.chunk_frames == 4  # what a CPU looks at by default
    for part in (loaded.model.model.language_model, loaded.model.model.perception.vision_tower):
        assert part.config._attn_implementation == "eager"


def test_attention_falls_back_to_sdpa(qwen):
    assert qwen.model.config._attn_implementation == "sdpa"
    assert qwen.model.model.perception.vision_tower.config._attn_implementation == "sdpa"


def test_eager_and_sdpa_agree(reference, qwen, qwen_batch):
    eager = load(reference / "qwen2", dtype="float32", attn_implementation="eager")
    assert same(logits(eager.model, qwen_batch), logits(qwen.model, qwen_batch))


def test_subfolder(qwen, released, qwen_batch):
    parent = released(name="runs/stage3").parent
    for model in (
        load(parent, subfolder="stage3", dtype="float32").model,
        AutoModelForImageTextToText.from_pretrained(parent, subfolder="stage3"),
    ):
        assert torch.equal(logits(model, qwen_batch), logits(qwen.model, qwen_batch))
    processor = AutoProcessor.from_pretrained(parent, subfolder="stage3")
    assert processor.image_token_id == qwen.processor.image_token_id


@pytest.fixture
def hub(tmp_path, released):
    """A hub cache, as huggingface_hub leaves it: `lab/model` whose branch v1 holds a release in a folder."""
    repository = tmp_path / "hub" / "models--lab--model"
    commits = {"main": "a" * 40, "v1": "b" * 40}
    for branch, commit in commits.items():
        (repository / "snapshots" / commit).mkdir(parents=True)
        (repository / "refs").mkdir(exist_ok=True)
        (repository / "refs" / branch).write_text(commit)
    shutil.copytree(released(name="source"), repository / "snapshots" / commits["v1"] / "stage3", symlinks=True)
    return tmp_path / "hub"


def test_hub_id_with_revision_and_subfolder(hub, qwen, qwen_batch, monkeypatch):
    place = {"revision": "v1", "subfolder": "stage3"}
    loaded = load("lab/model", cache_dir=hub, dtype="float32", **place)
    assert torch.equal(logits(loaded.model, qwen_batch), logits(qwen.model, qwen_batch))
    assert loaded.processor.image_token_id == qwen.processor.image_token_id
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(hub))
    model = AutoModelForImageTextToText.from_pretrained("lab/model", **place)
    assert torch.equal(logits(model, qwen_batch), logits(qwen.model, qwen_batch))
    assert isinstance(AutoProcessor.from_pretrained("lab/model", **place), QuicksviewerProcessor)


def test_hub_id_that_is_not_there(hub):
    for name, place in (("lab/model", {}), ("lab/other", {}), ("lab/model", {"revision": "v9"})):
        with pytest.raises(SetupError, match=f"^{name}: [^\n]*$"):
            load(name, cache_dir=hub, **place)


REAL_SIZES = {
    "keys_7b.json": (ReleasedQwenConfig, 151673, 3584, 18944, 28, 28, 4, {"rope_theta": 1000000.0}),
    "keys_8b.json": (ReleasedLlamaConfig, 128265, 4096, 14336, 32, 32, 8, {"rope_theta": 500000.0}),
}


@pytest.mark.parametrize("file", REAL_SIZES)
def test_real_checkpoints_fill_every_parameter(reference, file):
    """Names and shapes of the released checkpoints, through transformers' own renaming; no weights."""
    alias, vocabulary, width, hidden, layers, heads, kv_heads, rope = REAL_SIZES[file]
    flat = json.loads((reference / ("qwen2" if "7b" in file else "llama3") / "config.json").read_text())
    flat |= {"vocab_size": vocabulary, "hidden_size": width, "intermediate_size": hidden, "num_hidden_layers": layers}
    flat |= {"num_attention_heads": heads, "num_key_value_heads": kv_heads, "mm_hidden_size": width, **rope}
    facts = json.loads((reference / file).read_text())
    flat |= {**facts["resampler_config_written_to_config"], "mm_vision_tower": "/data/siglip-so400m"}
    with torch.device("meta"):
        model = QuicksviewerForConditionalGeneration(alias.from_dict(flat))
    renamings = get_model_conversion_mapping(model)
    shapes = facts["state_dict"]
    found = {rename_source_key(key, renamings, [])[0]: shape for key, shape in shapes.items()}
    assert len(found) == len(shapes), "no two keys may become one"
    assert found == {name: list(parameter.shape) for name, parameter in model.named_parameters()}


@pytest.fixture
def adapter(reference, tmp_path):
    """A small LoRA on the released checkpoint, in PEFT's files, and its model."""
    peft = pytest.importorskip("peft")
    model = AutoModelForImageTextToText.from_pretrained(reference / "qwen2")
    settings = peft.LoraConfig(r=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    torch.manual_seed(0)
    tuned = peft.get_peft_model(model, settings)
    tuned.save_pretrained(tmp_path / "adapters" / "lora")
    return tmp_path / "adapters" / "lora", tuned


def test_adapter_with_its_base(adapter, qwen, qwen_batch):
    folder, tuned = adapter
    assert not (folder / "tokenizer_config.json").exists()
    expected = logits(tuned, qwen_batch)
    assert not same(logits(qwen.model, qwen_batch), expected), "the adapter must matter for the test to say anything"
    loaded = load(folder, dtype="float32")
    assert same(logits(loaded.model, qwen_batch), expected)
    assert loaded.processor.image_token_id == qwen.processor.image_token_id, "the base's tokenizer serves"
    assert same(logits(AutoModelForImageTextToText.from_pretrained(folder), qwen_batch), expected)
    assert same(logits(load(folder.parent, subfolder="lora", dtype="float32").model, qwen_batch), expected)


def test_adapter_with_its_own_tokenizer(adapter, qwen):
    folder, _ = adapter
    qwen.processor.save_pretrained(folder)
    assert load(folder).processor.tokenizer.name_or_path == str(folder)


def test_adapter_without_its_base(adapter):
    folder, _ = adapter
    settings = json.loads((folder / "adapter_config.json").read_text())
    for base, complaint in (
        ("/nowhere/base", "the adapter's base /nowhere/base: there is no such folder"),
        (None, "base"),
    ):
        (folder / "adapter_config.json").write_text(json.dumps({**settings, "base_model_name_or_path": base}))
        with pytest.raises(SetupError, match=complaint):
            load(folder)


def test_adapter_that_does_not_fit(adapter):
    folder, _ = adapter
    weights = load_file(folder / "adapter_model.safetensors")
    weights.pop(min(weights))
    save_file(weights, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    with pytest.raises(SetupError, match="1 weights are missing"):
        load(folder)


def test_adapter_with_a_damaged_config(adapter):
    (adapter[0] / "adapter_config.json").write_text("{")
    with pytest.raises(SetupError, match=r"adapter_config\.json: is not valid JSON"):
        load(adapter[0])


def test_adapter_without_peft(adapter, monkeypatch):
    monkeypatch.setattr("qsv_eval.model_adapters.quicksviewer.checkpoint.is_peft_available", lambda: False)
    with pytest.raises(SetupError, match=r"peft is not installed; pip install 'qsv-eval\[train\]'"):
        load(adapter[0])


class Bomb:
    """Unpickled, it would leave a file behind."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


def test_pickled_weights_are_refused(released, tmp_path):
    folder, mark = released(model=None), tmp_path / "exploded"
    torch.save({"weight": Bomb(mark)}, folder / "pytorch_model.bin")
    with pytest.raises(SetupError, match="a pickle that holds more than tensors"):
        load(folder)
    assert not mark.exists()


def test_torch_files_with_tensors_alone_load(released, reference, qwen, qwen_batch):
    folder = released(model=None)
    torch.save(load_file(reference / "qwen2" / "model.safetensors"), folder / "pytorch_model.bin")
    assert torch.equal(logits(load(folder).model, qwen_batch), logits(qwen.model, qwen_batch))


def test_without_preprocessor_config_frames_have_the_towers_size(released):
    processor = load(released(preprocessor_config=None)).processor
    assert processor.image_processor.tile_size == processor.video_processor.frame_size == 384


def test_release_without_thumbnail(released, reference, random_clip):
    folder = released(model=None, config={"mm_use_thumbnail": False})
    weights = load_file(reference / "qwen2" / "model.safetensors")
    kept = {name: weight for name, weight in weights.items() if "thumbnail_fn" not in name}
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    loaded = load(folder)
    batch = make_batch(loaded.processor, random_clip)
    assert "<thumbnail_start>" not in loaded.processor.tokenizer.decode(batch["input_ids"][0])
    assert logits(loaded.model, batch).isfinite().all()


# ---------------------------------------------------------------------------------------------------- bad checkpoints


def refusal(folder, capfd, **options):
    """The error of a load, which must be one line that names the folder, and all that is said."""
    with pytest.raises(SetupError) as caught:
        load(folder, **options)
    message = str(caught.value)
    assert message.startswith(str(folder))
    assert "\n" not in message
    said = capfd.readouterr()
    assert "REPORT" not in said.err + said.out, "transformers' own report must not be printed"
    return message


def test_no_such_folder(tmp_path, capfd):
    assert "there is no such folder" in refusal(tmp_path / "nowhere", capfd)


def test_subfolder_that_is_not_there(released, capfd):
    assert "there is no such folder" in refusal(released(), capfd, subfolder="stage9")


def test_folder_without_config(tmp_path, capfd):
    assert "holds neither config.json nor adapter_config.json" in refusal(tmp_path, capfd)


WEIGHT = "model.layers.0.mlp.up_proj.weight"


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({WEIGHT: None}, "1 weights are missing (first: model.language_model.layers.0.mlp.up_proj.weight)"),
        ({"model.extra": torch.zeros(1)}, "1 weights are unknown (first: model.extra)"),
        ({WEIGHT: torch.zeros(3, 2)}, "1 weights have another shape (first: model.language_model.layers.0.mlp.up_proj"),
    ],
    ids=["missing", "extra", "shape"],
)
def test_weights_that_do_not_fit(released, reference, capfd, change, complaint):
    folder = released(model=None)
    weights = {**load_file(reference / "qwen2" / "model.safetensors"), **change}
    weights = {name: weight for name, weight in weights.items() if weight is not None}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    assert complaint in refusal(folder, capfd)


def test_no_weights(released, capfd):
    assert "model.safetensors" in refusal(released(model=None), capfd)


def test_damaged_files(released, capfd):
    folder = released(model=None)
    (folder / "model.safetensors").write_bytes(b"damaged!")
    assert "cannot be loaded as a Quicksviewer checkpoint" in refusal(folder, capfd)
    (folder / "config.json").unlink()
    (folder / "config.json").write_text("{")
    assert "not a valid JSON file" in refusal(folder, capfd)


def test_impossible_config_value(released, capfd):
    assert "num_queries" in refusal(released(config={"num_queries": "many"}), capfd)


def test_tokenizer_of_another_checkpoint(released, reference, capfd):
    folder = released(tokenizer=None)
    os.symlink(reference / "llama3" / "tokenizer.json", folder / "tokenizer.json")
    assert "tokenizer and weights are not of one checkpoint" in refusal(folder, capfd)


def test_no_tokenizer(released, capfd):
    folder = released(tokenizer=None, tokenizer_config=None, special_tokens_map=None)
    assert "its tokenizer or processor cannot be loaded" in refusal(folder, capfd)


def test_processor_for_another_tower(released, capfd):
    folder = released(preprocessor_config={"size": {"height": 224, "width": 224}})
    assert "tiles of 224 and frames of 224 pixels, but the vision tower takes 384" in refusal(folder, capfd)


def test_checkpoint_of_another_model(released, capfd):
    folder = released()
    (folder / "config.json").unlink()
    Qwen2Config(hidden_size=64, num_hidden_layers=1).save_pretrained(folder)
    assert "is a checkpoint of qwen2, not of Quicksviewer" in refusal(folder, capfd)


def test_unknown_dtype(reference, capfd):
    assert "dtype 'foo' is unknown" in refusal(reference / "qwen2", capfd, dtype="foo")


def test_verbosity_is_restored(reference, tmp_path):
    from transformers.utils import logging

    before = logging.get_verbosity()
    load_checkpoint(reference / "qwen2")
    with pytest.raises(SetupError):
        load_checkpoint(tmp_path)
    assert logging.get_verbosity() == before


def test_config_through_auto_config_keeps_the_tower_of_the_subfolder_for_the_weights(released):
    parent = released(name="runs/stage3").parent
    config = AutoConfig.from_pretrained(parent, subfolder="stage3")
    model = AutoModelForImageTextToText.from_pretrained(parent, subfolder="stage3", config=config)
    assert model.config.vision_config.hidden_size == 48
