import pytest
import torch
from transformers import Qwen2ForCausalLM, SiglipVisionModel

from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.model_adapters.quicksviewer import load_pretrained
from qsv_eval.model_adapters.quicksviewer.prompt_tokens import VISION_TOKENS
from qsv_eval.training.init_model import assemble


@pytest.fixture(scope="module")
def start_models(make_start_models):
    return make_start_models(torch.float32)


SMALL = {"grid_size": 4, "num_queries": 4}


def test_loaded_weights_are_kept_and_the_rest_is_initialised(start_models):
    model, processor = assemble(*start_models, SMALL, torch.float32)
    language = Qwen2ForCausalLM.from_pretrained(start_models[0])
    first, second = (
        layers[1].mlp.up_proj.weight for layers in (model.model.language_model.layers, language.model.layers)
    )
    assert torch.equal(first, second)
    vision = SiglipVisionModel.from_pretrained(start_models[1]).state_dict()
    name = next(name for name in vision if name.endswith("patch_embedding.weight"))
    assert torch.equal(model.model.perception.vision_tower.embeddings.patch_embedding.weight, vision[name])
    assert all(torch.isfinite(parameter).all() for parameter in model.parameters())
    assert model.model.perception.resampler.query.std() > 0
    assert len(processor.tokenizer) - 1 == model.get_input_embeddings().num_embeddings == model.lm_head.out_features


def test_new_rows_are_the_mean_of_the_old(start_models, tmp_path, data):
    from transformers import AutoTokenizer

    del data
    model, processor = assemble(*start_models, SMALL, torch.float32)
    ids = processor.tokenizer.convert_tokens_to_ids(list(VISION_TOKENS))
    old = len(AutoTokenizer.from_pretrained(start_models[0])) - len(VISION_TOKENS)
    for table in (model.get_input_embeddings(), model.get_output_embeddings()):
        torch.testing.assert_close(table.weight[ids[-1]], table.weight[:old].mean(0), atol=2e-3, rtol=0.1)


def test_the_seed_determines_the_new_weights(start_models):
    one, two, other = (assemble(*start_models, SMALL, torch.float32, seed).model for seed in (0, 0, 1))
    query = "model.perception.resampler.query"
    assert torch.equal(one.state_dict()[query], two.state_dict()[query])
    assert not torch.equal(one.state_dict()[query], other.state_dict()[query])


def test_the_model_is_saved_and_loaded(start_models, tmp_path, clips):
    model, processor = assemble(*start_models, SMALL, torch.float32)
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    loaded = load_pretrained(tmp_path, device="cpu", dtype="float32")
    for (name, left), right in zip(model.named_parameters(), loaded.model.parameters(), strict=True):
        assert torch.equal(left, right), name
    part = {"type": "video", "video": str(clips[0])}
    loaded.chat([{"role": "user", "content": [part, {"type": "text", "text": "What?"}]}], max_new_tokens=2)


def test_a_missing_model_is_named(start_models):
    with pytest.raises(SetupError, match="no-such-model"):
        assemble("no-such-model", start_models[1], {}, torch.float32)
