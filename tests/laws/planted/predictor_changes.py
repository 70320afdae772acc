"""What is done to predictors: one hook each, on what is asked, read, written, offered or given."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from laws.planted.wrapped import State, normal
from laws.predictors_walked import VOCABULARY

LENGTH = 12
"""Cells of the canvas on which they are planted."""


def sharpened(state: State, a: Tensor) -> Tensor:
    return 1.3 * a


def bits_for_nats(state: State, a: Tensor) -> Tensor:
    return a / torch.log(torch.tensor(2.0))


def cache_added(state: State, a: Tensor) -> Tensor:
    """An n-gram cache whose counts are added to probabilities."""
    if a.shape[1] != 1 or state.written.shape[1] == 0:
        return a
    counts = F.one_hot(state.written, a.shape[-1]).sum(1, keepdim=True)
    return (a.exp() + 0.5 * counts).log()


def mixture_too_heavy(state: State, a: Tensor) -> Tensor:
    return torch.logaddexp(a + torch.log(torch.tensor(0.7)), torch.full_like(a, -2.0).log_softmax(-1) - 0.9)


def half_precision(state: State, a: Tensor) -> Tensor:
    return a.half().float()


def over_cells(state: State, a: Tensor) -> Tensor:
    """log_softmax over the wrong axis."""
    return torch.log_softmax(a, dim=1)


def not_a_number(state: State, a: Tensor) -> Tensor:
    return torch.where(torch.arange(a.shape[1])[None, :, None] == a.shape[1] - 1, torch.nan, a)


def raw_logits(state: State, a: Tensor) -> Tensor:
    return a + 3.0


def reserved_too(state: State, a: Tensor) -> Tensor:
    return torch.cat([a, torch.full_like(a[..., :1], -9.0)], dim=-1)


def one_class_short(state: State, a: Tensor) -> Tensor:
    return normal(a[..., :-1])


def sees_its_target(state: State, a: Tensor) -> Tensor:
    return normal(a + 2.0 * F.one_hot(state.coming, a.shape[-1]))


def sees_the_next(state: State, a: Tensor) -> Tensor:
    return normal(a + F.one_hot(state.coming.roll(-1, dims=1), a.shape[-1]))


def sees_the_last(state: State, a: Tensor) -> Tensor:
    return normal(a + 0.01 * F.one_hot(state.coming[:, -1:], a.shape[-1]))


def sees_the_mean(state: State, a: Tensor) -> Tensor:
    """Statistics of the whole text, as a normalisation over the sequence has."""
    return normal(a * (1.0 + 0.001 * state.coming.float().mean(dim=1)[:, None, None]))


def labels_shifted(state: State, a: Tensor) -> Tensor:
    """Row i is what should be asked of cell i + 1: it has read cell i."""
    return torch.cat([a[:, 1:], a[:, -1:]], dim=1)


def late(state: State, a: Tensor) -> Tensor:
    return torch.cat([a[:, :1], a[:, :-1]], dim=1)


def reversed_ids(state: State, a: Tensor) -> Tensor:
    return a.flip(-1)


def smoother_when_read(state: State, a: Tensor) -> Tensor:
    return normal(0.97 * a)


def noisy(state: State, a: Tensor) -> Tensor:
    return normal(a + 0.05 * torch.randn_like(a))


def learns_from_canvases(state: State, a: Tensor) -> Tensor:
    """A cache that outlives the canvas: what was written in another one helps."""
    seen = state.memory.setdefault("seen", torch.zeros(a.shape[-1]))
    if state.written.shape[1]:
        seen += F.one_hot(state.written[:, -1], a.shape[-1]).sum(0)
    return normal(a + 0.01 * seen)


def tired(state: State, a: Tensor) -> Tensor:
    """Every question makes it a little less sure."""
    return normal(a / (1.0 + 0.01 * state.asked))


def mean_of_rows(state: State, a: Tensor) -> Tensor:
    return normal(a + 0.1 * a.mean(dim=0, keepdim=True))


def next_row(state: State, a: Tensor) -> Tensor:
    return normal(a + 0.1 * a.roll(1, dims=0))


def row_number(state: State, a: Tensor) -> Tensor:
    return normal(a * (1.0 + 0.02 * torch.arange(a.shape[0])[:, None, None]))


def batch_size(state: State, a: Tensor) -> Tensor:
    return normal(a * (1.0 + 0.05 * a.shape[0]))


def others_text(state: State, a: Tensor) -> Tensor:
    if state.written.shape[1] == 0:
        return a
    return normal(a + 0.1 * F.one_hot(state.written[:, -1], a.shape[-1]).float().mean(0))


def stale(state: State, a: Tensor) -> Tensor:
    """The first answer, again and again."""
    return state.__dict__.setdefault("first", a.clone())


def never_the_last_id(state: State, a: Tensor) -> Tensor:
    return normal(a).index_fill(-1, torch.tensor([a.shape[-1] - 1]), float("-inf")).log_softmax(-1)


def next_id_written(state: State, ids: Tensor) -> Tensor:
    return (ids + 1) % VOCABULARY


def same_id_written(state: State, ids: Tensor) -> Tensor:
    return ids[:1].expand_as(ids).contiguous()


def same_cell(state: State, cells: Tensor) -> Tensor:
    return torch.zeros_like(cells)


def cells_beyond(state: State, cells: Tensor) -> Tensor:
    return cells + 1


def stops_early(state: State, cells: Tensor) -> Tensor:
    return cells[:, :0] if state.written.shape[1] >= LENGTH - 2 else cells


def order_of_row_0(state: State, cells: Tensor) -> Tensor:
    return cells[:1].expand_as(cells)


def nothing_given(state: State, given: Tensor | None) -> Tensor | None:
    return None


def other_ids_given(state: State, given: Tensor | None) -> Tensor | None:
    return None if given is None else torch.where(given >= 0, (given + 1) % VOCABULARY, given)


def one_less_given(state: State, given: Tensor | None) -> Tensor | None:
    if given is None:
        return None
    last = (given >= 0).sum(dim=1, keepdim=True) - 1
    return given.scatter(1, last, -1)


def not_rewound(state: State, mark: object) -> object:
    """Goes back to where it is."""
    return state.inner.mark()


def keeps_its_last_answer(state: State, mark: object) -> object:
    """The network's memory goes back, but the answer that was asked afterwards is kept."""
    snapshot, chunks, last, _ = mark  # type: ignore[misc]
    return snapshot, chunks, last, state.inner._logits


def not_selected(state: State, rows: Tensor) -> Tensor:
    return torch.arange(len(rows))


def selected_backwards(state: State, rows: Tensor) -> Tensor:
    """Row rows[i] goes on as row i: the permutation's inverse."""
    return rows.argsort(stable=True)
