"""A contestant for one hidden token: n-gram evidence from both sides, and a small network that says whom to believe.

    log p(w | both sides) = log softmax( sum_k g_k f_k(w) )

f_k are ``Rescored`` models of several orders (from left to right and from right to left) and ``Between`` models
(counted on both sides at once). The gates g are a network's, which reads the tokens within ``reach`` and how sure each
f_k is (its two largest probabilities); it begins as the plain mean of the rescored models. It has no logits of its own:
with as few examples as a text can spare it learnt those by heart. A log-linear mixture as in ``models/hybrid``
(products of experts, Hinton 2002).

The n-grams are counted on the beginning of the training text and asked about its end (``held_back``), which they have
not read: the network is fitted there (and kept as it was when it knew the last tenth of those places best, which it is
not fitted on), then the n-grams are counted anew on all of it. Everything but the fitted weights follows from (config,
training ids), so those and the ids are what is saved. The answers are a pseudo-likelihood: they do not multiply to the
probability of a text. Tested: against the plain mixture where the network has learnt nothing, normalised, blind to the
hidden token, better than that mixture, saved and loaded to the bit.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from semagram.errors import UserError
from semagram.predictors.between import Between, surroundings
from semagram.predictors.gram_trie import checked_ids
from semagram.predictors.rescored import Rescored

_FLOOR = -12.0
"""What an n-gram says is taken to be at least this: below it is no evidence, only smoothing."""
_TOP = 2
_CHECKS = 12
"""Times that the fit is judged."""
_ASKED_AT_ONCE = 4096


@dataclass(frozen=True)
class ClozeConfig:
    """Both sides' n-grams under a small network."""

    orders: tuple[int, ...] = (3, 4, 5, 6, 8)
    """Orders of the n-grams that are rescored, in both directions; ascending."""
    between: tuple[int, ...] = (4, 6, 8, 10)
    """How many tokens around the hidden one are counted together; ascending."""
    reach: int = 6
    """Tokens on each side that the network reads."""
    width: int = 64
    """Features of its two hidden layers."""
    embedding: int = 12
    """Features of a token."""
    dropout: float = 0.2
    """Share of features zeroed in fitting."""
    held_back: float = 0.1
    """Share of the training text, at its end, on which the network is fitted."""
    examples: int = 100000
    """Places of it that are asked about at most, drawn at random."""
    passes: int = 2
    """Times that the network sees each of them."""
    batch: int = 512
    """Places a step."""
    rate: float = 2e-3
    """Peak learning rate of AdamW."""
    seed: int = 0
    """Of places, weights and dropout."""

    def __post_init__(self) -> None:
        for name in ("reach", "width", "embedding", "examples", "batch"):
            if getattr(self, name) < 1:
                raise UserError(f"cloze {name} must be at least 1, got {getattr(self, name)}.")
        if self.passes < 0:
            raise UserError(f"cloze passes must be 0 or more, got {self.passes}.")
        if not 0.0 < self.held_back < 1.0:
            raise UserError(f"cloze held_back must be between 0 and 1, got {self.held_back}.")
        if not 0.0 <= self.dropout < 1.0:
            raise UserError(f"cloze dropout must be from 0 up to, not including, 1; got {self.dropout}.")
        if not self.rate > 0:
            raise UserError(f"cloze rate must be above 0, got {self.rate}.")

    def fit(self, ids: np.ndarray, vocabulary_size: int) -> ClozeModel:
        """Count and fit on the training text ``ids (n,)``, values 0..v-1; ``UserError`` for fewer than 20 tokens."""
        ids = checked_ids(ids, vocabulary_size)
        cut = int((1 - self.held_back) * len(ids))
        if len(ids) < 20 or not 0 < cut < len(ids):
            raise UserError(f"a cloze model needs at least 20 tokens of training text, got {len(ids)}.")
        network = ClozeNetwork(self, vocabulary_size)
        random = np.random.default_rng(self.seed)
        places = cut + np.sort(random.choice(len(ids) - cut, min(self.examples, len(ids) - cut), replace=False))
        if self.passes:
            _fit(self, network, Evidence(self, ids[:cut], vocabulary_size), ids, places)
        return ClozeModel(self, ids, vocabulary_size, network)


class Evidence:
    """The n-gram models of one text."""

    def __init__(self, config: ClozeConfig, ids: np.ndarray, vocabulary_size: int) -> None:
        self._outside, self._orders, self._between = vocabulary_size, config.orders, config.between
        self._models = [Rescored.fit(way, vocabulary_size, config.orders) for way in (ids, ids[::-1])]
        self._both = Between.fit(ids, vocabulary_size, config.between)

    def rows(self, ids: np.ndarray, places: np.ndarray) -> Tensor:
        """What each model says of ``places (m,)`` of a text ``ids (n,)``: ``(m, K, v)`` log-probabilities."""
        most = self._orders[-1]
        edge = np.full(most, self._outside)
        padded, steps = np.concatenate([edge, ids, edge]), np.arange(1, most + 1)
        before, behind = (padded[places[:, None] + most + side * steps] for side in (-1, 1))
        forwards, backwards = self._models
        told = [forwards.evidence(before, behind), backwards.evidence(behind, before)]
        told.append(self._both.rows(surroundings(ids, places, self._between[-1], self._outside)))
        return torch.from_numpy(np.concatenate(told, axis=1)).clamp(min=_FLOOR)


class ClozeNetwork(nn.Module):
    """Gated evidence: tokens around ``(m, 2 reach)`` and evidence ``(m, K, v)`` -> logits ``(m, v)``."""

    def __init__(self, config: ClozeConfig, vocabulary_size: int) -> None:
        super().__init__()
        torch_state = torch.get_rng_state()
        torch.manual_seed(config.seed)
        rescored, experts = 2 * len(config.orders), 2 * len(config.orders) + len(config.between)
        self.dropout, top = config.dropout, min(_TOP, vocabulary_size)
        self.embedding = nn.Embedding(vocabulary_size + 1, config.embedding)
        self.inward = nn.Linear(2 * config.reach * config.embedding + top * experts, config.width)
        self.inner = nn.Linear(config.width, config.width)
        self.gates = nn.Linear(config.width, experts)
        nn.init.zeros_(self.gates.weight)
        nn.init.zeros_(self.gates.bias)
        with torch.no_grad():
            self.gates.bias[:rescored] = 1.0 / rescored
        torch.set_rng_state(torch_state)

    def forward(self, around: Tensor, evidence: Tensor) -> Tensor:
        """See the class."""
        sure = evidence.topk(min(_TOP, evidence.shape[-1]), dim=-1).values.exp().flatten(1)
        x = torch.cat([self.embedding(around).flatten(1), sure], dim=1)
        x = F.dropout(F.relu(self.inward(x)), self.dropout, self.training)
        x = F.dropout(x + F.relu(self.inner(x)), self.dropout, self.training)
        return (self.gates(x)[:, None] @ evidence)[:, 0]


class ClozeModel:
    """A fitted contestant: one hidden token of a text, given all the others."""

    def __init__(self, config: ClozeConfig, ids: np.ndarray, vocabulary_size: int, network: ClozeNetwork) -> None:
        self.config, self.vocabulary_size, self.network = config, vocabulary_size, network.eval()
        self._ids, self._evidence = ids, Evidence(config, ids, vocabulary_size)

    @torch.inference_mode()
    def log_probs(self, ids: np.ndarray, places: np.ndarray) -> np.ndarray:
        """Log-probabilities ``(m, v)`` float32 of the tokens at ``places (m,)`` of ``ids (n,)``, each given all others.
        What stands at a place itself is not read. ``UserError`` for ids and places that are not there."""
        ids, places = checked_ids(ids, self.vocabulary_size), np.asarray(places, dtype=np.int64)
        if places.size and not 0 <= places.min() <= places.max() < len(ids):
            raise UserError(f"places must be from 0 to {len(ids) - 1}, got {places.min()} to {places.max()}.")
        told = [np.empty((0, self.vocabulary_size), dtype=np.float32)]
        for at in range(0, len(places), _ASKED_AT_ONCE):
            part = places[at : at + _ASKED_AT_ONCE]
            logits = self.network(_around(ids, part, self.config.reach, self.vocabulary_size), self._rows(ids, part))
            told.append(torch.log_softmax(logits, dim=-1).numpy())
        return np.concatenate(told)

    def _rows(self, ids: np.ndarray, places: np.ndarray) -> Tensor:
        return self._evidence.rows(ids, places)

    def arrays(self) -> dict[str, np.ndarray]:
        """All there is to save, for safetensors: the text, which is counted again, and the fitted weights."""
        import json

        told = json.dumps(asdict(self.config)).encode()
        weights = {f"network.{name}": tensor.numpy() for name, tensor in self.network.state_dict().items()}
        return {
            "config": np.frombuffer(told, dtype=np.uint8),
            "vocabulary_size": np.array([self.vocabulary_size], dtype=np.int64),
            "ids": self._ids,
            **weights,
        }

    @staticmethod
    def from_arrays(arrays: dict[str, np.ndarray]) -> ClozeModel:
        """The model that ``arrays`` came from, to the bit. ``UserError`` naming what is missing."""
        import json

        missing = {"config", "vocabulary_size", "ids"} - set(arrays)
        if missing:
            raise UserError(f"a saved cloze model lacks {sorted(missing)}; it has {sorted(arrays)}.")
        told = json.loads(bytes(arrays["config"]))
        config = ClozeConfig(**told | {name: tuple(told[name]) for name in ("orders", "between")})
        v = int(arrays["vocabulary_size"][0])
        network = ClozeNetwork(config, v)
        prefix = "network."
        weights = {n[len(prefix) :]: torch.from_numpy(a.copy()) for n, a in arrays.items() if n.startswith(prefix)}
        try:
            network.load_state_dict(weights)
        except RuntimeError as error:
            raise UserError(f"a saved cloze model does not fit its settings: {error}") from None
        return ClozeModel(config, arrays["ids"], v, network)


def _around(ids: np.ndarray, places: np.ndarray, reach: int, outside: int) -> Tensor:
    """Tokens around each place ``(m, 2 reach)``, from left to right; the id v beyond the text."""
    edge = np.full(reach, outside)
    padded, steps = np.concatenate([edge, ids, edge]), np.r_[-reach:0, 1 : reach + 1]
    return torch.from_numpy(padded[places[:, None] + reach + steps])


def _fit(config: ClozeConfig, network: ClozeNetwork, evidence: Evidence, ids: np.ndarray, places: np.ndarray) -> None:
    """Fit the network in place: AdamW, the rate rising over a tenth of the steps and falling to 0; kept is what it was
    when it knew the last tenth of ``places`` best."""
    rows = torch.cat(
        [evidence.rows(ids, places[at : at + _ASKED_AT_ONCE]).half() for at in range(0, len(places), _ASKED_AT_ONCE)]
    )
    around = _around(ids, places, config.reach, network.embedding.num_embeddings - 1)
    targets, count = torch.from_numpy(ids[places]), max(1, len(places) - len(places) // 10)

    def nats(chosen: Tensor | slice) -> Tensor:
        return F.cross_entropy(network(around[chosen], rows[chosen].float()), targets[chosen])

    @torch.no_grad()
    def judged() -> float:
        network.eval()
        parts = range(count, len(places), _ASKED_AT_ONCE)
        told = [(nats(slice(at, at + _ASKED_AT_ONCE)), len(targets[at : at + _ASKED_AT_ONCE])) for at in parts]
        network.train()
        return sum(float(cost) * many for cost, many in told)

    batch = min(config.batch, count)
    total = max(1, config.passes * count // batch)
    stepper = torch.optim.AdamW(network.parameters(), lr=config.rate, weight_decay=0.1)
    generator, state = torch.Generator().manual_seed(config.seed), torch.get_rng_state()
    torch.manual_seed(config.seed)  # of dropout
    best, kept = judged(), {name: tensor.clone() for name, tensor in network.state_dict().items()}
    order, at = torch.randperm(count, generator=generator), 0
    for step in range(total):
        if at + batch > count:
            order, at = torch.randperm(count, generator=generator), 0
        chosen, at = order[at : at + batch], at + batch
        for group in stepper.param_groups:
            group["lr"] = config.rate * min((step + 1) / max(1.0, 0.1 * total), 1 - step / total)
        loss = nats(chosen)
        stepper.zero_grad()
        loss.backward()
        stepper.step()
        due = (step + 1) * _CHECKS // total > step * _CHECKS // total
        if due and (now := judged()) < best:
            best, kept = now, {name: tensor.clone() for name, tensor in network.state_dict().items()}
    network.load_state_dict(kept)
    torch.set_rng_state(state)
    network.eval()
