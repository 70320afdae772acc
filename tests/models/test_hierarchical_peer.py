"""Hierarchical against the installed package simple-hierarchical-transformer 0.4.0: same weights, same logits.

Its scheme is a set of ordinary options here: elements counted phase by phase, a decay where attention is full, layer
norms at both ends and before windowed attention. Its layer norms' biases stay at 0, where they begin: ours have none.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from semagram.feedforward import MLP, LayerNorm, RMSNorm
from semagram.layouts import Sequence, Visibility
from semagram.layouts.geometry import Geometry
from semagram.models import Hierarchical, Level
from semagram.models.hierarchical_compress import Convolve
from semagram.models.hierarchical_level import LevelPositions

V, LENGTH = 23, 48

CONFIGS: dict[str, dict[str, Any]] = {
    "its first example, small": {
        "dim": 32, "depth": 2, "dim_head": 8, "heads": 4, "hierarchies": (1, 2, 8), "window_sizes": (5, 3, None)
    },
    "strided, of its third example": {
        "dim": (16, 24, 32, 48), "depth": 2, "ff_mult": (2, 2, 4, 4), "dim_head": (8, 8, 16, 16), "heads": (2, 3, 2, 3),
        "hierarchies": (1, 2, 4, 16), "hierarchical_stride": (1, 1, 1, 8), "window_sizes": (7, 4, 5, None),
    },
    "merged into all, a level without attention, all pooled": {
        "dim": (16, 24, 32), "depth": 3, "dim_head": 8, "heads": 2, "hierarchies": (1, 4, 8),
        "hierarchical_stride": (1, 2, 4),
        "window_sizes": (4, 0, 3), "hierarchy_merge_all": True, "predict_use_all_hierarchy": True,
    },
    "no levels but one": {"dim": 32, "depth": 2, "dim_head": 8, "heads": 4, "hierarchies": 1},
    "a coarse level predicts": {
        "dim": 32, "depth": 2, "dim_head": 8, "heads": 2, "hierarchies": (1, 4), "window_sizes": (6, None),
        "predict_hierarchy": 4,
    },
}  # fmt: skip


def each(value: Any, count: int) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,) * count


def as_ours(given: dict[str, Any]) -> Hierarchical:
    """The same network in our configuration."""
    factors = each(given["hierarchies"], 1)
    n = len(factors)
    dims, heads, head_widths = (each(given[name], n) for name in ("dim", "heads", "dim_head"))
    windows, strides = each(given.get("window_sizes"), n), each(given.get("hierarchical_stride", 1), n)
    levels = []
    for factor, stride, dim, head, head_width, multiple, window in zip(
        factors, strides, dims, heads, head_widths, each(given.get("ff_mult", 4), n), windows, strict=True
    ):
        attends = window != 0
        where = LevelPositions(unit="elements", decay=512.0 if window is None else None)
        levels.append(
            Level(
                factor, stride, dim, head, head_width, float(multiple),
                window=(window or ("none" if window == 0 else "full")),
                positions=where if attends else LevelPositions(),
                attention_norm=LayerNorm() if window else None,
            )
        )  # fmt: skip
    return Hierarchical(
        width=max(dims),
        depth=given["depth"],
        levels=tuple(levels),
        predicting=factors.index(given.get("predict_hierarchy", min(factors)))
        if not given.get("predict_use_all_hierarchy")
        else 0,
        pooled=given.get("predict_use_all_hierarchy", False),
        into="all" if given.get("hierarchy_merge_all") else "predicting",
        compress=Convolve(hidden=4 * max(dims)),
        sharpness=None,
        feedforward=MLP(activation="gelu"),
        norm=RMSNorm(gain=True, epsilon=1e-12),
        end_norm=LayerNorm(),
        shift=None,
        logit_cap=None,
    )


def halves(weight: Tensor, heads: int) -> Tensor:
    """Rows of planes (2 i, 2 i + 1) to planes (i, i + d_h / 2), for queries and keys; values stay."""
    queries, keys, values = weight.chunk(3)
    turned = [w.unflatten(0, (heads, -1, 2)).transpose(1, 2).flatten(0, 2) for w in (queries, keys)]
    return torch.cat([*turned, values])


def copied(theirs: Any, ours: Any) -> None:
    """Their weights into ours."""
    pairs: list[tuple[Tensor, Tensor]] = [(ours.embedding.weight[:V], theirs.token_emb.weight)]
    for mine, its, level in zip(ours.compress.parts, theirs.compressors, ours.levels, strict=True):
        if level.factor > 1:
            convolution, outward = its.compress_fn[1].conv, its.compress_fn[3]
            pairs.append((mine.inward.weight, convolution.weight.permute(0, 2, 1).flatten(1)))
            pairs.append((mine.inward.bias, convolution.bias))
            pairs.append((mine.outward.weight, outward.weight[:, :, 0]))
            pairs.append((mine.outward.bias, outward.bias))
        elif isinstance(mine, nn.Linear):
            pairs.append((mine.weight, its.compress_fn.weight))
    for mine, its in zip(ours.made_norms, theirs.post_token_emb_norms, strict=True):
        pairs.append((mine.gain, its.weight))
    for layer, its_layer in zip(ours.layers, theirs.layers, strict=True):
        for block, its, level in zip(layer, its_layer, ours.levels, strict=True):
            if block.attention is not None:
                full = level.window == "full"
                gain = its.attn.norm.gamma if full else its.attn.norm.weight
                inward = its.attn.to_qkv.weight
                pairs.append((block.attention_norm.gain, gain))
                pairs.append((block.attention.inward.weight, halves(inward, level.heads) if full else inward))
                pairs.append((block.attention.outward.weight, its.attn.to_out.weight))
            pairs.append((block.feedforward_norm.gain, its.ff.net[0].gamma))
            pairs.append((block.feedforward.up.weight, its.ff.net[1].weight))
            pairs.append((block.feedforward.down.weight, its.ff.net[3].weight))
    for merge, its in zip(ours.merges, theirs.hierarchical_merges, strict=True):
        pairs += [(merge.norm.gain, its.net[0].gamma), (merge.inward.weight, its.net[1].weight)]
        pairs += [(merge.inward.bias, its.net[1].bias), (merge.outward.weight, its.net[3].weight)]
        pairs.append((merge.outward.bias, its.net[3].bias))
    for mine, i in zip(ours.norms, ours.read, strict=True):
        pairs.append((mine.gain, theirs.norms[i].weight))
    pairs.append((ours.head.weight, theirs.to_logits.weight))
    with torch.no_grad():
        for to, value in pairs:
            assert to.shape == value.shape, (to.shape, value.shape)
            to.copy_(value)
    filled = {to.data_ptr() for to, _ in pairs}
    missing = [name for name, p in ours.named_parameters() if p.data_ptr() not in filled]
    assert not missing, missing


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.filterwarnings("ignore")
def test_same_weights_same_logits(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    peer = pytest.importorskip("simple_hierarchical_transformer")
    given = CONFIGS[name]
    torch.manual_seed(0)
    theirs = peer.HierarchicalTransformer(num_tokens=V, seq_len=LENGTH, **given).eval()
    with torch.no_grad():
        for parameter_name, parameter in theirs.named_parameters():
            if parameter.dim() == 1 and "bias" not in parameter_name and "freqs" not in parameter_name:
                parameter.add_(0.3 * torch.randn_like(parameter))
    ours: Any = as_ours(given).build(V, Sequence(LENGTH), Visibility.CAUSAL).eval()
    if given.get("hierarchy_merge_all") and not given.get("predict_use_all_hierarchy"):
        pytest.fail("the last merge of ours would be smaller")
    copied(theirs, ours)
    ids = torch.randint(0, V, (2, LENGTH))
    with torch.no_grad():
        mine, its = ours(ids, Geometry.of(Sequence(LENGTH).positions(), Visibility.CAUSAL)), theirs(ids)
    assert mine.shape == its.shape
    assert float((mine - its).abs().max()) < 1e-5, float((mine - its).abs().max())
    assert float(its.std()) > 0.1
    for net, logits in (
        (ours, ours(ids, Geometry.of(Sequence(LENGTH).positions(), Visibility.CAUSAL))),
        (theirs, theirs(ids)),
    ):
        net.zero_grad()
        nn.functional.cross_entropy(logits.flatten(0, 1), ids.roll(-1, 1).flatten()).backward()
    assert torch.allclose(ours.embedding.weight.grad[:V], theirs.token_emb.weight.grad, atol=1e-5)
