"""A run's model before its first step."""

from dataclasses import replace

import pytest
import torch

from qsv_eval.model_adapters.quicksviewer.checkpoint import load_checkpoint
from qsv_eval.training.parts import part_of
from qsv_eval.training.recipe import Rates, Start
from qsv_eval.training.setup import set_up


def types_of(model):
    """Return the types of each part's weights."""
    found = {}
    for name, parameter in model.named_parameters():
        found.setdefault(part_of(name), set()).add(parameter.dtype)
    return found


@pytest.mark.parametrize("is_half", [True, False])
def test_what_is_only_read_is_halved_as_a_whole_where_that_loses_nothing(recipe, start, tmp_path, is_half):
    """Else a layer norm of ones and zeros would be bfloat16, and what comes to it float32."""
    loaded = load_checkpoint(start, dtype="float32")
    tower = loaded.model.model.perception.vision_tower
    for parameter in tower.parameters():
        parameter.data = parameter.data.to(torch.bfloat16).float()
    if not is_half:
        tower.embeddings.patch_embedding.weight.data += 1e-6
    loaded.model.save_pretrained(tmp_path)
    loaded.processor.save_pretrained(tmp_path)
    changed = replace(recipe, dtype="bfloat16", start=Start(str(tmp_path)), rates=Rates(cubing=1e-3, resampler=1e-3))
    found = types_of(set_up(changed).checkpoint.model)
    assert found["vision_tower"] == {torch.bfloat16 if is_half else torch.float32}
    assert found["language_model"] == {torch.float32}
    assert found["cubing"] == found["resampler"] == {torch.float32}
