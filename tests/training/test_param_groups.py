import torch
from torch import nn

from qsv_eval.training.param_groups import LearnedRows


def test_rows_are_trained_by_their_ids_in_any_order():
    embedding = nn.Embedding(10, 4)
    before = embedding.weight.detach().clone()
    rows = LearnedRows(embedding, [7, 3])
    ids = torch.tensor([[3, 7, 5]])
    assert rows(ids).equal(before[ids])
    rows(ids).sum().backward()
    assert rows.rows.grad.equal(torch.ones(2, 4))
    assert embedding.weight.grad is None
    assert rows.state_dict()["weight"].equal(before)
