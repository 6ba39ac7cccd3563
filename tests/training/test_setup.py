"""Data types and training state of a run's model before its first step."""

import json
import shutil
from dataclasses import replace

import pytest
import torch

from qsv_eval.model_adapters.quicksviewer.checkpoint import load_checkpoint
from qsv_eval.training.param_groups import LearnedRows, group_of
from qsv_eval.training.recipe import Rates, Start
from qsv_eval.training.run import train
from qsv_eval.training.setup import set_up


def types_of(model):
    """Return the dtypes of each part's weights."""
    types = {}
    for name, parameter in model.named_parameters():
        types.setdefault(group_of(name), set()).add(parameter.dtype)
    return types


@pytest.mark.parametrize("is_half", [True, False])
def test_a_frozen_part_is_bfloat16_if_that_is_lossless_for_all_of_it(recipe, start, tmp_path, is_half):
    """By parameter, a layer norm of ones and zeros would be bfloat16, and its input float32."""
    loaded = load_checkpoint(start, dtype="float32")
    tower = loaded.model.model.perception.vision_tower
    for parameter in tower.parameters():
        parameter.data = parameter.data.to(torch.bfloat16).float()
    if not is_half:
        tower.embeddings.patch_embedding.weight.data += 1e-6
    loaded.model.save_pretrained(tmp_path)
    loaded.processor.save_pretrained(tmp_path)
    changed = replace(recipe, dtype="bfloat16", start=Start(str(tmp_path)), rates=Rates(cubing=1e-3, resampler=1e-3))
    types = types_of(set_up(changed).checkpoint.model)
    assert types["vision_tower"] == {torch.bfloat16 if is_half else torch.float32}
    assert types["language_model"] == {torch.float32}
    assert types["cubing"] == types["resampler"] == {torch.float32}


@pytest.fixture(scope="module")
def first(recipe, make_start_models):
    """The first stage from a language model and a vision tower in bfloat16, as they are released."""
    language_model, vision_tower = make_start_models(torch.bfloat16)
    return replace(
        recipe,
        start=Start(language_model=language_model, vision_tower=vision_tower),
        rates=Rates(cubing=1e-2, resampler=1e-2, new_tokens=1e-2),
        model={"grid_size": 4, "num_queries": 4},
        dtype="bfloat16",
    )


FROZEN_IN_HALF = {
    "language_model": {torch.bfloat16},
    "vision_tower": {torch.bfloat16},
    "new_tokens": {torch.float32},
    "cubing": {torch.float32},
    "resampler": {torch.float32},
    None: {torch.bfloat16},
}


def test_frozen_models_in_bfloat16_stay_so_in_the_first_two_stages(first, tmp_path):
    """The trained rows are float32, also after they are loaded again."""
    assert types_of(set_up(first).checkpoint.model) == FROZEN_IN_HALF
    final = train(first, tmp_path / "whole", cpu=True)
    saved = load_checkpoint(final, dtype="float32").model.get_input_embeddings().weight
    second = set_up(replace(first, start=Start(str(final)), model={})).checkpoint.model
    assert types_of(second) == FROZEN_IN_HALF
    embedding = second.get_input_embeddings()
    assert isinstance(embedding, LearnedRows)
    assert torch.equal(embedding.rows, saved[embedding.row_ids])
    assert not torch.equal(embedding.rows, embedding.rows.bfloat16().float()), "bfloat16 would round them"


def test_float32_rows_of_a_bfloat16_table_are_resumed_exactly(first, tmp_path):
    whole = train(first, tmp_path / "whole", cpu=True).parent
    stopped = shutil.copytree(whole, tmp_path / "stopped")
    shutil.rmtree(stopped / "final")
    shutil.rmtree(stopped / "checkpoint-4")
    train(first, stopped, cpu=True)
    one, two = (
        [json.loads(line).get("loss") for line in (folder / "metrics.jsonl").read_text().splitlines()]
        for folder in (whole, stopped)
    )
    assert one == two
    tables = [
        load_checkpoint(folder / "final", dtype="float32").model.get_input_embeddings() for folder in (whole, stopped)
    ]
    assert torch.equal(tables[0].weight, tables[1].weight)
