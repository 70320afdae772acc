"""Who proposes tokens for speculative decoding: another predictor, a look into the text, or the model's own heads.

``PredictorDraft`` asks any predictor of the same vocabulary (a small network, an n-gram). ``PromptLookup`` finds the
last place where the text's last few tokens stood before, and proposes what followed there (prompt lookup, Saxena 2023;
copying as drafting: arXiv 2304.04487); it costs nothing and suits texts that repeat themselves. ``HeadsDraft`` lets the
further heads of a ``MultiToken`` network propose, from the last slot that was read for the text anyhow (arXiv
2404.19737). None of them can change what is written, only how fast. Tested with the exactness of ``speculate``.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from semagram.errors import UserError
from semagram.models.multi_token import MultiTokenNetwork, MultiTokenState
from semagram.predictors.causal import CausalState
from semagram.predictors.contract import Predictor
from semagram.verbs.reading import Mark, Reading
from semagram.verbs.sampling import Sampling, drawn
from semagram.verbs.speculative import Drafter


@dataclass(frozen=True)
class PredictorDraft:
    """Any predictor of the same vocabulary."""

    predictor: Predictor

    def drafter(self, reading: Reading) -> Drafter:
        """``UserError`` for another vocabulary, or a draft that chooses where to write."""
        target = reading.predictor
        if self.predictor.vocabulary_size != target.vocabulary_size:
            raise UserError(
                f"a draft must share the vocabulary: it knows {self.predictor.vocabulary_size} ids, "
                f"the model {target.vocabulary_size}."
            )
        return _PredictorDrafter(self.predictor, reading.total)


@dataclass(frozen=True)
class PromptLookup:
    """What followed the same tokens last time."""

    longest: int = 3
    """Tokens that must agree; where they never did before, one fewer, down to one."""

    def __post_init__(self) -> None:
        if self.longest < 1:
            raise UserError(f"a look-up must compare at least 1 token, got {self.longest}.")

    def drafter(self, reading: Reading) -> Drafter:
        """It fits everything."""
        return _LookupDrafter(self.longest)


@dataclass(frozen=True)
class HeadsDraft:
    """The model's own further heads."""

    def drafter(self, reading: Reading) -> Drafter:
        """``UserError`` for a model without such heads."""
        network = getattr(reading.predictor, "network", None)
        if not isinstance(network, MultiTokenNetwork):
            raise UserError(
                f"only a model trained as MultiToken has heads that propose; this is a "
                f"{type(reading.predictor if network is None else network).__name__}."
            )
        return _HeadsDrafter(reading, network)


class _PredictorDrafter:
    """Keeps a reading of the text; proposals are taken back before the next."""

    def __init__(self, predictor: Predictor, total: int) -> None:
        self._reading = Reading(predictor, torch.zeros(1, 0, dtype=torch.int64), total)
        self._mark: Mark | None = None

    def propose(self, ids: Tensor, count: int, sampling: Sampling, uniform: Tensor) -> tuple[Tensor, Tensor]:
        """Draw one after the other; see ``Drafter``."""
        reading = self._reading
        if self._mark is None:
            reading.ids = ids[None]
        else:
            reading.rewind(self._mark)
            while reading.count < len(ids):
                reading.read(ids[None, reading.count : reading.count + min(reading.left, len(ids) - reading.count)])
        self._mark = reading.mark()
        tokens, distributions = [], []
        for i in range(count):
            q = sampling.distribution(reading.log_probs()[:, None])[0, 0]
            token = int(q.argmax()) if sampling.temperature == 0 else int(drawn(q.cumsum(0), uniform[i]))
            tokens.append(token)
            distributions.append(q)
            reading.write(torch.tensor([token]))
        v = reading.predictor.vocabulary_size
        return torch.tensor(tokens, dtype=torch.int64), torch.stack(distributions) if count else torch.zeros(0, v)


class _LookupDrafter:
    """Searches the text anew each time."""

    def __init__(self, longest: int) -> None:
        self._longest = longest

    def propose(self, ids: Tensor, count: int, sampling: Sampling, uniform: Tensor) -> tuple[Tensor, None]:
        """What followed the latest earlier occurrence of the longest ending; nothing where there is none."""
        n = len(ids)
        for size in range(min(self._longest, n - 1), 0, -1):
            places = ids[: n - 1].unfold(0, size, 1)
            same = (places == ids[n - size :]).all(dim=1).nonzero()[:, 0]
            if len(same):
                begin = int(same[-1]) + size
                return ids[begin : begin + count].clone(), None
        return ids[:0], None


class _HeadsDrafter:
    """Asks the heads what follows the slot that was read last."""

    def __init__(self, reading: Reading, network: MultiTokenNetwork) -> None:
        self._reading, self._network = reading, network

    def propose(self, ids: Tensor, count: int, sampling: Sampling, uniform: Tensor) -> tuple[Tensor, Tensor | None]:
        """Of each head one; nothing in a canvas of which nothing was read yet."""
        state = self._reading.state
        if not isinstance(state, CausalState):
            return ids[:0], None
        inner = state.network_state
        if not isinstance(inner, MultiTokenState) or inner.hidden is None or inner.length != state.written:
            return ids[:0], None
        with torch.no_grad():
            rows = torch.stack(self._network.further_logits(inner.hidden)[:count], dim=1).float().cpu()
        q = sampling.distribution(torch.log_softmax(rows, dim=-1))[0]
        if sampling.temperature == 0:
            return q.argmax(dim=-1), q
        return drawn(q.cumsum(dim=-1), uniform[: len(q)]), q
