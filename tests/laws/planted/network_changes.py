"""What is done to networks: real methods replaced by nearly the same ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from semagram.layouts import Visibility
from semagram.layouts.geometry import Geometry
from semagram.mixers import convolution, tiles
from semagram.mixers.attention import AttentionMixer
from semagram.models.transformer import TransformerNetwork


def attending(change: Callable[..., dict[str, Any]]) -> Callable[[pytest.MonkeyPatch], None]:
    """``_attend`` with other arguments: ``change(queries, keys, values, mask, causal) -> {name: value}``."""

    def plant(patch: pytest.MonkeyPatch) -> None:
        sound = AttentionMixer._attend

        def attend(self: Any, queries: Tensor, keys: Tensor, values: Tensor, mask: Any, causal: bool) -> Tensor:
            given = {"queries": queries, "keys": keys, "values": values, "mask": mask, "causal": causal}
            return sound(self, **{**given, **change(**given)})

        patch.setattr(AttentionMixer, "_attend", attend)

    return plant


def everyone(causal: bool, **_: Any) -> dict[str, Any]:
    return {"causal": False}


def off_by(diagonal: int) -> Callable[..., dict[str, Any]]:
    def change(queries: Tensor, keys: Tensor, causal: bool, **_: Any) -> dict[str, Any]:
        if not causal:
            return {}
        n = queries.shape[2]
        mask = torch.ones(n, n, dtype=torch.bool).tril(diagonal)
        mask[0, 0] = True
        return {"mask": mask, "causal": False}

    return change


def past_forgotten(mask: Any, queries: Tensor, keys: Tensor, **_: Any) -> dict[str, Any]:
    """A chunk sees itself only."""
    return (
        {}
        if mask is None or mask.dim() != 2
        else {"mask": mask & torch.ones_like(mask).triu(keys.shape[2] - queries.shape[2])}
    )


def rows_mixed(values: Tensor, **_: Any) -> dict[str, Any]:
    return {"values": values + 0.1 * values.roll(1, dims=0)}


def keys_detached(keys: Tensor, **_: Any) -> dict[str, Any]:
    return {"keys": keys.detach()}


def replacing(owner: Any, name: str, make: Callable[[Any], Any]) -> Callable[[pytest.MonkeyPatch], None]:
    """``owner.name`` becomes ``make(sound)``."""
    return lambda patch: patch.setattr(owner, name, make(owner.__dict__[name]))


def output(change: Callable[[Tensor], Tensor]) -> Callable[[Any], Any]:
    """The same method, its result changed."""
    return lambda sound: lambda self, *a, **k: change(sound(self, *a, **k))


def shared_buffer(sound: Any) -> Any:
    """A state that is made once and never cleared."""
    return lambda self, *a: self.__dict__.setdefault("kept", {}).setdefault(a[0], sound(self, *a))


def first_row_only(sound: Any) -> Any:
    def append(self: Any, keys: Tensor, values: Tensor) -> Any:
        return sound(self, keys[:1].expand_as(keys), values[:1].expand_as(values))

    return append


def without_newest(sound: Any) -> Any:
    def append(self: Any, keys: Tensor, values: Tensor) -> Any:
        all_keys, all_values = sound(self, keys, values)
        zero = torch.zeros_like(all_keys[:, :, :1])
        return torch.cat([zero, all_keys[:, :, :-1]], 2), torch.cat([zero, all_values[:, :, :-1]], 2)

    return append


def heads_turned(sound: Any) -> Any:
    def append(self: Any, keys: Tensor, values: Tensor) -> Any:
        all_keys, all_values = sound(self, keys, values)
        return all_keys, all_values.flip(1)

    return append


def narrow_shifted(sound: Any) -> Any:
    """Stepping believes that it stands one slot further left (after the first)."""

    def narrow(self: Geometry, start: int, count: int) -> Geometry:
        part = sound(self, start, count)
        moved = Geometry(part.coords - int(start > 0), part.order, part.visibility, part.keep)
        return moved

    return narrow


def narrow_restarts(sound: Any) -> Any:
    """Every chunk believes that it stands at the beginning."""
    return lambda self, start, count: sound(self, 0, count)


def cell_order(sound: Any) -> Any:
    """Causal slots in the order of the cells, whatever the scan."""

    def of(cls: Any, positions: Any, visibility: Visibility, keep: Tensor | None = None) -> Geometry:
        return cls(positions.coords, torch.arange(positions.count), visibility, keep)

    return classmethod(of)


def keep_forgotten(sound: Any) -> Any:
    """The padding mask sees everything (of the past)."""

    def mask(geometry: Geometry) -> Tensor:
        everything = torch.ones(geometry.keep.shape[0], 1, geometry.count, geometry.count, dtype=torch.bool)
        return everything.tril() if geometry.causal else everything

    return mask


def not_a_number_at_padding(sound: Any) -> Any:
    """Padding slots hold NaN, as an empty softmax leaves them; nought times NaN is NaN in the next block."""

    def forward(self: Any, x: Tensor, geometry: Geometry) -> Tensor:
        out = sound(self, x, geometry)
        return out if geometry.keep is None else out.masked_fill(~geometry.keep[:, :, None], float("nan"))

    return forward


def first_not_last(sound: Any) -> Any:
    """The convolution remembers the first slots of what it has read, not the last."""

    def step(self: Any, x: Tensor, geometry: Geometry, state: Any) -> Tensor:
        joined = torch.cat([state.recent, x], dim=1)
        out = sound(self, x, geometry, state)
        state.recent = joined[:, : self.kernel - 1]
        return out

    return step


def padding_kept(sound: Any) -> Any:
    """A convolution or shift that forgets about padding."""

    def forward(self: Any, x: Tensor, geometry: Geometry) -> Tensor:
        return sound(self, x, Geometry(geometry.coords, geometry.order, geometry.visibility))

    return forward


def centred_padding(sound: Any) -> Any:
    """A convolution padded on both sides."""

    def forward(self: Any, x: Tensor, geometry: Geometry) -> Tensor:
        side = self.kernel // 2
        padded = F.pad(x, (0, 0, self.kernel - 1 - side, side))
        return self.outward(convolution.shifted_sum(padded, self.taps))

    return forward


def from_the_right(sound: Any) -> Any:
    """A token shift the wrong way round."""
    return lambda self, x, geometry: x + self.share * F.pad(x[:, 1:], (0, 0, 0, 1))


def over_the_sequence(x: Tensor) -> Tensor:
    return x - 0.1 * x.mean(dim=1, keepdim=True)


def over_the_batch(x: Tensor) -> Tensor:
    return x - 0.1 * x.mean(dim=0, keepdim=True)


def by_spread(x: Tensor) -> Tensor:
    """Divided by the standard deviation over the sequence, of which one slot has none."""
    return x / (x.var(dim=1, keepdim=True) * 0.0 + 1.0)


def by_row(x: Tensor) -> Tensor:
    return x * (1.0 + 0.01 * torch.arange(x.shape[0], dtype=x.dtype)[:, None, None])


def noisy(x: Tensor) -> Tensor:
    return x + 0.01 * torch.randn_like(x)


def asleep(x: Tensor) -> Tensor:
    return 0.0 * x


def dropping(sound: Any) -> Any:
    """Dropout that does not know of eval."""
    return lambda self, x: F.dropout(x, 0.2, training=True)


def rebuilt(change: Callable[[Any, Any], None]) -> Callable[[pytest.MonkeyPatch], None]:
    """A network that is changed at the end of its construction."""

    def plant(patch: pytest.MonkeyPatch) -> None:
        sound = TransformerNetwork.__init__

        def build(self: Any, config: Any, *a: Any, **k: Any) -> None:
            sound(self, config, *a, **k)
            change(self, config)

        patch.setattr(TransformerNetwork, "__init__", build)

    return plant


def head_by_closure(network: Any, config: Any) -> None:
    """Tied through a closure over the network that was built, not the one that is asked."""
    weight = network.embedding.weight
    network.logits = lambda x, condition=None: F.linear(x, weight[:-1])


def unsaved_scale(network: Any, config: Any) -> None:
    network.register_buffer("scale", torch.rand(config.width) + 0.5, persistent=False)
    network.norm.register_forward_hook(lambda module, args, out: out * network.scale)


def useless_parameter(network: Any, config: Any) -> None:
    network.useless = nn.Parameter(torch.ones(3))


def frozen_head(network: Any, config: Any) -> None:
    if network.head is not None:
        network.head.weight.requires_grad_(False)


def python_in_the_middle(network: Any, config: Any) -> None:
    network.norm.register_forward_hook(lambda module, args, out: out * (1.0 if float(out.detach().sum()) > 0 else 1.1))


def no_cap(network: Any, config: Any) -> None:
    network.logit_cap = None


def window_further_by(cells: int) -> Callable[[Any], Any]:
    """Windows lie ``cells`` further along than they should, in the fast path (its reference is not asked)."""
    return lambda sound: lambda queries, keys, *rest: sound(queries + cells, keys, *rest)


def ranks_forgotten(sound: Any) -> Any:
    """Tiles whose windows do not ask which cell was written first."""
    return lambda slots, window, tile, causal, full, dtype: sound(slots, window, tile, False, full, dtype)


def page_without_places(sound: Any) -> Any:
    """Tiles in the order in which slots are presented, wherever these stand."""

    def of(geometry: Geometry, window: Any, dtype: Any) -> Any:
        plain = torch.cartesian_prod(*(torch.arange(low, high + 1) for low, high in geometry.extent))
        coords = plain.view(geometry.count, -1)
        return sound.__func__(tiles.Tiling, Geometry(coords, geometry.order, geometry.visibility), window, dtype)

    return of


def kept_in_windows(sound: Any) -> Any:
    """Padding is part of the page that windows see."""
    return lambda geometry, window: sound(_without_padding(geometry), window)


def kept_in_squares(sound: Any) -> Any:
    """Padding is merged into super-tokens."""
    return lambda self, x, geometry: sound(self, x, _without_padding(geometry))


def _without_padding(geometry: Geometry) -> Geometry:
    return Geometry(geometry.coords, geometry.order, geometry.visibility, None, extent=geometry.extent)


def merged_by_rows_of_the_batch(sound: Any) -> Any:
    """What super-tokens say goes to the next row of the batch."""
    return lambda self, x, coarse, geometry: sound(self, x, coarse.roll(1, dims=0), geometry)


def visible_asked_too(sound: Any) -> Any:
    """Lines ask for a line that is shown."""

    def lines(geometry: Geometry, rows: int, generator: torch.Generator) -> Any:
        hidden, weights = sound(geometry, rows, generator)
        return hidden & (weights == 0), weights

    return lines


def iterations_share_a_state(sound: Any) -> Any:
    """Every application of a repeated trunk writes into the same keys."""

    def new_state(self: Any, batch: int, geometry: Geometry) -> Any:
        state = sound(self, batch, geometry)
        state.mixers = [state.mixers[0]] * len(state.mixers)
        return state

    return new_state
