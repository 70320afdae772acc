"""Attention between streams against its definition, in float64, slot by slot."""

import math

import torch

from semagram.models.crossed import CausalCross


def test_cross_attention_is_its_definition() -> None:
    torch.manual_seed(0)
    cross = CausalCross(width=12, heads=3).double()
    x, other = torch.randn(2, 5, 12).double(), torch.randn(2, 5, 12).double()
    q, (k, v) = cross.query(x), cross.key_value(other).chunk(2, dim=-1)
    rows = []
    for t in range(5):
        heads = []
        for h in range(3):
            part = slice(4 * h, 4 * h + 4)
            scores = (k[:, : t + 1, part] @ q[:, t, part, None]).squeeze(-1) / math.sqrt(4)
            heads.append((scores.softmax(dim=-1)[:, None] @ v[:, : t + 1, part]).squeeze(1))
        rows.append(cross.out(torch.cat(heads, dim=-1)))
    expected = torch.stack(rows, dim=1)
    assert torch.allclose(cross(x, other), expected, atol=1e-12)
    seen = torch.ones(2, 5, dtype=torch.bool)
    assert torch.allclose(cross(x, other, seen), expected, atol=1e-12), "a mask that hides nothing"
