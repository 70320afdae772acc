"""Networks of ours and of x-transformers with the same weights: logits and every gradient must agree.

``Twin`` pairs each parameter of ours with a place in theirs. Most are equal as they stand; where they are not, the map
is a permutation or a slice, so the same map takes our gradient to theirs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from laws.cases import shaken
from laws.stepping import close, gap
from semagram.feedforward import LayerNorm
from semagram.layouts import Sequence, Visibility
from semagram.layouts.geometry import Geometry
from semagram.mixers import Attention, NoPositions
from semagram.models import Transformer
from semagram.models.embedding import Embedding

V, WIDTH, HEADS, LENGTH = 7, 16, 2, 9
LAYOUT = Sequence(LENGTH)
PLAIN = Attention(heads=HEADS, positions=NoPositions(), sharpness=None)
"""Attention as theirs without any flags."""
BARE = Embedding(normalise=False)
FROM_ONE = LayerNorm(from_one=True)
"""The norm that theirs begins with."""

Map = Callable[[Tensor], Tensor]


def ours(visibility: Visibility = Visibility.CAUSAL, **fields: Any) -> Any:
    """A network with nothing left at a constant start."""
    torch.manual_seed(0)
    given = {"width": WIDTH, "depth": 2, "mixer": PLAIN, "norm": FROM_ONE, "embedding": BARE, **fields}
    config = Transformer(logit_cap=None, shift=None, **given)
    return shaken(config.build(V, LAYOUT, visibility)).eval()


def theirs(wrapper: dict[str, Any] | None = None, **fields: Any) -> Any:
    """An x-transformers decoder (an encoder with ``encoder=True``) without positions unless asked for."""
    peers = pytest.importorskip("x_transformers")
    kind = peers.Encoder if fields.pop("encoder", False) else peers.Decoder
    layers = kind(dim=WIDTH, heads=HEADS, attn_dim_head=WIDTH // HEADS, **{"depth": 2, **fields})
    given = {"use_abs_pos_emb": False, **(wrapper or {})}
    return peers.TransformerWrapper(num_tokens=V, max_seq_len=LENGTH, attn_layers=layers, **given).eval()


class Twin:
    """Pairs, then ``agree``."""

    def __init__(self, network: Any, peer: Any) -> None:
        self.network, self.peer = network, peer
        self.pairs: list[tuple[Tensor, Tensor, Map]] = []

    def pair(self, mine: Tensor, other: Tensor, to: Map = lambda x: x, less: float = 0.0) -> None:
        """Theirs holds ``to(mine) - less``; its gradient must be ``to`` of ours."""
        with torch.no_grad():
            other.copy_((to(mine) - less).reshape(other.shape))
        self.pairs.append((mine, other, to))

    def embedding(self) -> None:
        self.pair(self.network.embedding.weight, self.peer.token_emb.emb.weight, lambda w: w[:V])

    def head(self) -> None:
        self.pair(self.network.head.weight, self.peer.to_logits.weight)

    def mixer(self, mine: Any, other: Any) -> None:
        for i, to in enumerate((other.to_q, other.to_k, other.to_v)):
            self.pair(mine.inward.weight, to.weight, lambda w, i=i: w.split(WIDTH)[i])
        self.pair(mine.outward.weight, other.to_out.weight)

    def mlp(self, mine: Any, other: Any) -> None:
        last = other.ff[-1]
        self.pair(mine.up.weight, other.ff[0][0].weight)
        self.pair(mine.down.weight, last.weight)
        if mine.up.bias is not None:
            self.pair(mine.up.bias, other.ff[0][0].bias)
            self.pair(mine.down.bias, last.bias)

    def gated(self, mine: Any, other: Any) -> None:
        turned = lambda w: w.roll(mine.hidden, dims=0)  # noqa: E731 - they keep (up, gate)
        self.pair(mine.inward.weight, other.ff[0].proj.weight, turned)
        self.pair(mine.inward.bias, other.ff[0].proj.bias, turned)
        self.pair(mine.down.weight, other.ff[-1].weight)
        self.pair(mine.down.bias, other.ff[-1].bias)

    def norm(self, mine: Any, other: Any) -> None:
        """Layer norms with from_one; others as the test says."""
        self.pair(mine.gain, other.gamma)

    def branches(self, norm: Callable[[Any, Any], None] | None = None) -> None:
        """Everything between embedding and head; ``norm(mine, other)`` pairs two norms."""
        norm = norm or self.norm
        layers = iter(self.peer.attn_layers.layers)
        for number in dict.fromkeys(self.network.blocks.order):
            block = self.network.blocks[number]
            for slot in block.slots:
                (before, output, after), branch, residual = next(layers)
                for mine, other in (
                    (getattr(block, f"{slot}_norm"), before),
                    (way_part(block, slot, "output_norm"), output),
                    (way_part(block, slot, "after_norm"), after),
                ):
                    assert (mine is None) == (not isinstance(other, nn.Module)), (slot, mine, other)
                    if mine is not None:
                        norm(mine, other)
                part = getattr(block, slot)
                while hasattr(branch, "fn"):
                    branch = branch.fn
                pairing = self.mixer if slot == "mixer" else self.mlp if hasattr(part, "up") else self.gated
                pairing(part, branch)
                self.way(block, slot, residual)
        if self.network.norm is not None:
            norm(self.network.norm, self.peer.attn_layers.final_norm)

    def way(self, block: Any, slot: str, residual: Any) -> None:
        """What a test has to add for scales and joins."""

    def agree(
        self,
        tolerance: float = 1e-5,
        ours_given: tuple[Any, ...] = (),
        besides: tuple[str, ...] = (),
        silent: bool = False,
        **theirs_given: Any,
    ) -> None:
        """Logits and all gradients within ``tolerance``, and every parameter of theirs is paired, but ``besides``.

        ``silent``: some gradients are 0 by nature.
        """
        paired = {id(other) for _, other, _ in self.pairs}
        lonely = [name for name, p in self.peer.named_parameters() if id(p) not in paired]
        lonely = [name for name in lonely if not any(word in name for word in besides)]
        assert not lonely, f"not paired: {lonely}"
        ids = torch.randint(0, V, (3, LENGTH), generator=torch.Generator().manual_seed(2))
        geometry = Geometry.of(LAYOUT.positions(), self.network.visibility)
        mine, other = self.network(ids, geometry, *ours_given), self.peer(ids, **theirs_given)
        assert close(mine, other, tolerance), gap(mine, other)
        for logits in (mine, other):
            nn.functional.cross_entropy(logits.flatten(0, 1), ids.roll(-1, dims=1).flatten()).backward()
        for parameter, peer, to in self.pairs:
            assert parameter.grad is not None and peer.grad is not None, tuple(peer.shape)
            gradient = to(parameter.grad).reshape(peer.shape)
            assert silent or float(peer.grad.abs().max()) > 1e-7, "no gradient to compare"
            assert close(gradient, peer.grad, tolerance), gap(gradient, peer.grad)


def way_part(block: Any, slot: str, name: str) -> Any:
    """A part of a branch's way, or None."""
    way = getattr(block, f"{slot}_way", None)
    return None if way is None else getattr(way, name)
