"""Faults of predictors: each a ``Wrapped`` with one hook, and the audit's check and the law that must see it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import torch
from torch import Tensor

from laws.planted import predictor_changes as change
from laws.planted.wrapped import State, Wrapped
from laws.predictors_walked import VOCABULARY, network, ngram
from semagram.layouts import Sequence, Visibility
from semagram.predictors import CausalPredictor, Unmasking, predictor_of

LENGTH = change.LENGTH
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
L_REWIND, L_SELECT = "rewound equals never written", "rows take along what they know"


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
    Planted("temperature baked in after the softmax", wrapped(ngram, **both(change.sharpened)), SUM, L_SUM),
    Planted("bits where nats are promised", wrapped(causal, **both(change.bits_for_nats)), SUM, L_SUM),
    Planted("an n-gram cache added without normalising", wrapped(ngram, ask=change.cache_added), SUM, L_SUM),
    Planted("mixture weights that sum to 1.1", wrapped(ngram, **both(change.mixture_too_heavy)), SUM, L_SUM),
    Planted("half precision", wrapped(causal, **both(change.half_precision)), SUM, L_SUM),
    Planted("log_softmax over the cells", wrapped(causal, **both(change.over_cells)), SUM, L_SUM),
    Planted("NaN in an answer", wrapped(ngram, ask=change.not_a_number), SUM, L_SUM),
    Planted("logits instead of log-probabilities", wrapped(causal, **both(change.raw_logits)), SUM, L_SUM),
    Planted("the reserved id can be emitted", wrapped(ngram, **both(change.reserved_too)), RESERVED, L_SUM),
    Planted("one id too few", wrapped(ngram, **both(change.one_class_short)), RESERVED, L_SUM),
    Planted("the target inside the window", wrapped(ngram, read=change.sees_its_target), FUTURE, L_FUTURE),
    Planted("the next id inside the window", wrapped(ngram, read=change.sees_the_next), FUTURE, L_FUTURE),
    Planted("a hundredth of the last id seen everywhere", wrapped(causal, read=change.sees_the_last), FUTURE, L_FUTURE),
    Planted("a statistic of the whole text", wrapped(ngram, read=change.sees_the_mean), FUTURE, L_FUTURE),
    Planted("labels shifted by one", wrapped(causal, read=change.labels_shifted), FUTURE, L_FUTURE),
    Planted("answers one cell late", wrapped(ngram, read=change.late), READ, L_READ),
    Planted("ids in reverse when read", wrapped(ngram, read=change.reversed_ids), READ, L_READ),
    Planted("temperature in one path only", wrapped(ngram, read=change.smoother_when_read), READ, L_READ),
    Planted("noise", wrapped(ngram, **both(change.noisy)), TWICE, L_TWICE),
    Planted("a cache that outlives the canvas", wrapped(ngram, ask=change.learns_from_canvases), TWICE, L_TWICE),
    Planted("asking changes the answer", wrapped(ngram, ask=change.tired), TWICE, L_TWICE),
    Planted("the state is not cleared", wrapped(ngram, shared=True), TWICE, L_ONCE),
    Planted("the batch's mean in every row", wrapped(ngram, **both(change.mean_of_rows)), COMPANY, L_COMPANY),
    Planted("a tenth of the neighbouring row", wrapped(causal, **both(change.next_row)), COMPANY, L_ORDER),
    Planted("the row's number matters", wrapped(ngram, **both(change.row_number)), COMPANY, L_ORDER),
    Planted("the batch's size matters", wrapped(ngram, **both(change.batch_size)), COMPANY, L_COMPANY),
    Planted("other rows' text in the answer", wrapped(ngram, ask=change.others_text), COMPANY, L_COMPANY),
    Planted("rows share their state", wrapped(ngram, write=change.same_id_written), COMPANY, L_ORDER),
    Planted("the order of a row depends on its company", Greedy, COMPANY, L_COMPANY),
    Planted("all rows write where row 0 does", wrapped(any_order, positions=change.order_of_row_0), COMPANY, L_COMPANY),
    Planted("a stale answer", wrapped(ngram, ask=change.stale), READ, L_READ),
    Planted("another id is written than was said", wrapped(ngram, write=change.next_id_written), READ, L_READ),
    Planted("one cell again and again", wrapped(ngram, positions=change.same_cell), ONCE, L_ONCE),
    Planted("a cell beyond the canvas", wrapped(ngram, positions=change.cells_beyond), ONCE, L_ONCE),
    Planted("the last cells are never offered", wrapped(ngram, positions=change.stops_early), ONCE, L_ONCE),
    Planted("what is given is forgotten", wrapped(ngram, given=change.nothing_given), GIVEN, L_GIVEN),
    Planted("what is given is garbled", wrapped(ngram, given=change.other_ids_given), GIVEN, L_GIVEN),
    Planted("the last given cell is forgotten", wrapped(ngram, given=change.one_less_given), GIVEN, L_GIVEN),
    Planted("rewinding does nothing", wrapped(ngram, rewound=change.not_rewound), "", L_REWIND),
    Planted("an old answer survives rewinding", wrapped(causal, rewound=change.keeps_its_last_answer), "", L_REWIND),
    Planted("selecting rows does nothing", wrapped(ngram, selected=change.not_selected), "", L_SELECT),
    Planted("rows go where they should come from", wrapped(causal, selected=change.selected_backwards), "", L_SELECT),
    Planted("an id that occurs has probability 0", wrapped(ngram, **both(change.never_the_last_id)), DECODES, ""),
]
"""An empty law: only the audit, which codes, can see it. An empty check: only the laws, since no audit goes back."""

CLEAN: dict[str, Callable[[], Any]] = {
    "n-gram": ngram,
    "causal": causal,
    "any order": any_order,
    "wrapped n-gram": wrapped(ngram),
    "wrapped causal": wrapped(causal),
    "random order": lambda: replace(any_order(), writing=Unmasking(choice="random")),
}
