"""Our attention and x-transformers', with the same weights: what is copied where, and the comparison.

Two orders differ and are permuted on the way over: its rotary planes are neighbours (2p, 2p + 1), ours (p, p + r / 2);
its groups of query heads are dealt out like cards, ours stand together. Its memory keys are met by queries that are
turned, so memory is compared without rotary positions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from laws.stepping import close, gap
from semagram.layouts import Sequence, Visibility
from semagram.layouts.geometry import Geometry
from semagram.mixers import Attention, Rotary

WIDTH, LENGTH, BATCH = 20, 13, 2
Pair = tuple[Tensor, Tensor, Callable[[Tensor], Tensor]]
"""Our parameter, its parameter, and how ours is laid out over there."""


def same(value: Tensor) -> Tensor:
    return value


class Together:
    """Both modules; ``copy`` puts our weights into its, ``compare`` looks at outputs and gradients."""

    def __init__(self, config: Attention, causal: bool = True, **theirs: Any) -> None:
        from x_transformers.x_transformers import Attention as Peer

        torch.manual_seed(0)
        self.config, self.causal = config, causal
        self.ours: Any = config.build(WIDTH)
        self.heads, self.shared = self.ours.heads, self.ours.key_value_heads
        self.head_width, groups = self.ours.head_width, self.heads // self.shared
        self.theirs: Any = Peer(
            WIDTH, dim_head=self.head_width, heads=self.heads, kv_heads=self.shared, causal=causal, **theirs
        )
        with torch.no_grad():
            for parameter in self.ours.parameters():
                parameter.add_(torch.randn_like(parameter) * 0.2)
        self.dealt = [g * groups + r for r in range(groups) for g in range(self.shared)]
        turned = self.ours.turned
        self.planes = [p + side * (turned // 2) for p in range(turned // 2) for side in (0, 1)]
        self.planes += range(turned, self.head_width)
        queries, keys = self.ours.sizes
        weight = self.ours.inward.weight
        self.pairs: list[Pair] = [
            (weight, self.theirs.to_q.weight, lambda w: self.query_heads(self.features(w[:queries])).flatten(0, 1)),
            (weight, self.theirs.to_k.weight, lambda w: self.features(w[queries : queries + keys]).flatten(0, 1)),
            (weight, self.theirs.to_v.weight, lambda w: w[queries + keys :]),
            (
                self.ours.outward.weight,
                self.theirs.to_out.weight,
                lambda w: self.query_heads(w.t().unflatten(0, (self.heads, -1))).flatten(0, 1).t(),
            ),
        ]  # fmt: skip

    def features(self, rows: Tensor) -> Tensor:
        """Rows of heads, ``(h * d_h, ...) -> (h, d_h, ...)`` with its order of planes."""
        return rows.unflatten(0, (-1, self.head_width))[:, self.planes]

    def query_heads(self, heads: Tensor) -> Tensor:
        """Query heads in its order."""
        return heads[self.dealt]

    def also(self, ours: Tensor, theirs: Tensor, layout: Callable[[Tensor], Tensor] = same) -> Together:
        """One more parameter that both have."""
        self.pairs.append((ours, theirs, layout))
        return self

    def rotary(self) -> dict[str, Any]:
        """Its argument for our positions."""
        from x_transformers.x_transformers import RotaryEmbedding

        positions = self.config.positions
        if not isinstance(positions, Rotary):
            return {}
        made = RotaryEmbedding(
            self.ours.turned, base=positions.base, use_xpos=positions.decay is not None, scale_base=positions.decay or 1
        )
        return {"rotary_pos_emb": made.forward_from_seq_len(LENGTH)}

    def compare(
        self,
        keep: Tensor | None = None,
        pairs: Tensor | None = None,
        board: dict[str, Tensor] | None = None,
        **theirs: Any,
    ) -> None:
        """Outputs and all gradients within 1e-5 of one another (relative above 1)."""
        with torch.no_grad():
            for mine, other, layout in self.pairs:
                other.copy_(layout(mine))
        inputs = [torch.randn(BATCH, LENGTH, WIDTH, generator=torch.Generator().manual_seed(1)) for _ in range(2)]
        ours, peers = (x.requires_grad_() for x in inputs)
        visibility = Visibility.CAUSAL if self.causal else Visibility.FULL
        whole = Geometry.of(Sequence(LENGTH).positions(), visibility)
        geometry = Geometry(whole.coords, whole.order, visibility, keep, pairs)
        geometry.board = board
        mine = self.ours(ours, geometry)
        other = self.theirs(peers, **({"mask": keep} if keep is not None else {}), **self.rotary(), **theirs)
        kept = torch.ones(BATCH, LENGTH, dtype=torch.bool) if keep is None else keep
        self.close("outputs", mine[kept], other[kept])
        cotangent = torch.randn(mine.shape, generator=torch.Generator().manual_seed(2)) * 0.2 * kept[..., None]
        for out in (mine, other):
            out.backward(cotangent)
        self.close("gradient of the input", ours.grad[kept], peers.grad[kept])  # type: ignore[index]
        for i, (parameter, theirs_parameter, layout) in enumerate(self.pairs):
            assert float(theirs_parameter.grad.abs().max()) > 1e-3, f"parameter {i}: no gradient to compare"
            self.close(f"gradient of parameter {i}", layout(parameter.grad), theirs_parameter.grad)  # type: ignore[arg-type]

    @staticmethod
    def close(name: str, a: Tensor, b: Tensor) -> None:
        assert close(a, b, 1e-5), f"{name}: {gap(a, b)}"
