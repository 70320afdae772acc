"""Faults of predictors: each a ``Wrapped`` with one hook, and the audit's check and the law that must see it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from laws.planted.wrapped import State, Wrapped, normal
from laws.predictors_walked import VOCABULARY, network, ngram
from semagram.layouts import Sequence, Visibility
from semagram.predictors import CausalPredictor, Unmasking, predictor_of

LENGTH = 12
LAYOUT = Sequence(LENGTH)


@cache
def causal() -> Any:
    """A sound network predictor."""
    return CausalPredictor(network(Visibility.CAUSAL, LAYOUT), LAYOUT)


@cache
def any_order() -> Any:
    """A sound one that chooses where to write."""
    return predictor_of(network(Visibility.FULL, LAYOUT), LAYOUT, Unmasking(cells=2))


@dataclass(frozen=True)
class Planted:
    """``make()`` gives the faulty predictor; ``check`` is the audit's name for what is wrong, ``law`` the suite's."""

    name: str
    make: Callable[[], Any]
    check: str
    law: str


def both(change: Callable[[State, Tensor], Tensor]) -> dict[str, Any]:
    """The same fault when asked and when read: agreement cannot give it away."""
    return {"ask": change, "read": change}


SUM, FUTURE, TWICE = "sums to one", "sees no future", "answers twice alike"
READ, GIVEN, COMPANY = "reading equals stepping", "given equals written", "knows no company"
ONCE, RESERVED, DECODES = "offers each cell once", "emits no reserved id", "its score decodes"
L_SUM, L_FUTURE, L_READ, L_GIVEN = (
    "it is a distribution",
    "no peeking",
    "read equals reading step by step",
    "given equals written",
)
L_ORDER, L_COMPANY, L_ONCE = "batch order does not matter", "batch company does not matter", "every cell once"
L_TWICE = "asked twice, it answers alike"


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


def wrapped(inner: Callable[[], Any], **hooks: Any) -> Callable[[], Any]:
    return lambda: Wrapped(inner(), **hooks)


class Greedy:
    """Confidence order by the batch's mean, so that a row's order depends on its company."""

    def __init__(self) -> None:
        self.inner = any_order()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def open(self, layout: Any, batch: int, given: Tensor | None = None) -> Any:
        state = self.inner.open(layout, batch, given)
        ask = state._ask

        def together() -> tuple[Tensor, Tensor]:
            unknown = state._page == VOCABULARY
            _, answers = ask()
            with torch.no_grad():
                everywhere = torch.log_softmax(self.inner.network(state._page, state._geometry), -1)
            wish = everywhere.amax(-1).mean(0, keepdim=True).expand_as(unknown).masked_fill(~unknown, -1e9)
            cells = wish.sort(dim=1, descending=True, stable=True).indices[:, : answers.shape[1]]
            state._answer = cells, everywhere.gather(1, cells[:, :, None].expand(-1, -1, VOCABULARY))
            return state._answer

        state._ask = together
        return state


FAULTS: list[Planted] = [
    Planted("temperature baked in after the softmax", wrapped(ngram, **both(sharpened)), SUM, L_SUM),
    Planted("bits where nats are promised", wrapped(causal, **both(bits_for_nats)), SUM, L_SUM),
    Planted("an n-gram cache added without normalising", wrapped(ngram, ask=cache_added), SUM, L_SUM),
    Planted("mixture weights that sum to 1.1", wrapped(ngram, **both(mixture_too_heavy)), SUM, L_SUM),
    Planted("half precision", wrapped(causal, **both(half_precision)), SUM, L_SUM),
    Planted("log_softmax over the cells", wrapped(causal, **both(over_cells)), SUM, L_SUM),
    Planted("NaN in an answer", wrapped(ngram, ask=not_a_number), SUM, L_SUM),
    Planted("logits instead of log-probabilities", wrapped(causal, **both(raw_logits)), SUM, L_SUM),
    Planted("the reserved id can be emitted", wrapped(ngram, **both(reserved_too)), RESERVED, L_SUM),
    Planted("one id too few", wrapped(ngram, **both(one_class_short)), RESERVED, L_SUM),
    Planted("the target inside the window", wrapped(ngram, read=sees_its_target), FUTURE, L_FUTURE),
    Planted("the next id inside the window", wrapped(ngram, read=sees_the_next), FUTURE, L_FUTURE),
    Planted("a hundredth of the last id seen everywhere", wrapped(causal, read=sees_the_last), FUTURE, L_FUTURE),
    Planted("a statistic of the whole text", wrapped(ngram, read=sees_the_mean), FUTURE, L_FUTURE),
    Planted("labels shifted by one", wrapped(causal, read=labels_shifted), FUTURE, L_FUTURE),
    Planted("answers one cell late", wrapped(ngram, read=late), READ, L_READ),
    Planted("ids in reverse when read", wrapped(ngram, read=reversed_ids), READ, L_READ),
    Planted("temperature in one path only", wrapped(ngram, read=smoother_when_read), READ, L_READ),
    Planted("noise", wrapped(ngram, **both(noisy)), TWICE, L_TWICE),
    Planted("a cache that outlives the canvas", wrapped(ngram, ask=learns_from_canvases), TWICE, L_TWICE),
    Planted("asking changes the answer", wrapped(ngram, ask=tired), TWICE, L_TWICE),
    Planted("the state is not cleared", wrapped(ngram, shared=True), TWICE, L_ONCE),
    Planted("the batch's mean in every row", wrapped(ngram, **both(mean_of_rows)), COMPANY, L_COMPANY),
    Planted("a tenth of the neighbouring row", wrapped(causal, **both(next_row)), COMPANY, L_ORDER),
    Planted("the row's number matters", wrapped(ngram, **both(row_number)), COMPANY, L_ORDER),
    Planted("the batch's size matters", wrapped(ngram, **both(batch_size)), COMPANY, L_COMPANY),
    Planted("other rows' text in the answer", wrapped(ngram, ask=others_text), COMPANY, L_COMPANY),
    Planted("rows share their state", wrapped(ngram, write=same_id_written), COMPANY, L_ORDER),
    Planted("the order of a row depends on its company", Greedy, COMPANY, L_COMPANY),
    Planted("all rows write where row 0 does", wrapped(any_order, positions=order_of_row_0), COMPANY, L_COMPANY),
    Planted("a stale answer", wrapped(ngram, ask=stale), READ, L_READ),
    Planted("another id is written than was said", wrapped(ngram, write=next_id_written), READ, L_READ),
    Planted("one cell again and again", wrapped(ngram, positions=same_cell), ONCE, L_ONCE),
    Planted("a cell beyond the canvas", wrapped(ngram, positions=cells_beyond), ONCE, L_ONCE),
    Planted("the last cells are never offered", wrapped(ngram, positions=stops_early), ONCE, L_ONCE),
    Planted("what is given is forgotten", wrapped(ngram, given=nothing_given), GIVEN, L_GIVEN),
    Planted("what is given is garbled", wrapped(ngram, given=other_ids_given), GIVEN, L_GIVEN),
    Planted("the last given cell is forgotten", wrapped(ngram, given=one_less_given), GIVEN, L_GIVEN),
    Planted("an id that occurs has probability 0", wrapped(ngram, **both(never_the_last_id)), DECODES, ""),
]
"""An empty law: only the audit, which codes, can see it."""

CLEAN: dict[str, Callable[[], Any]] = {
    "n-gram": ngram,
    "causal": causal,
    "any order": any_order,
    "wrapped n-gram": wrapped(ngram),
    "wrapped causal": wrapped(causal),
    "random order": lambda: replace(any_order(), writing=Unmasking(choice="random")),
}
