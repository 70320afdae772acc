"""A part of one's own, in one file: a mixer that shows each slot the fading mean of what stood before it.

    python examples/own_part.py

It is put into a transformer as it is, trained, and audited: does it see the future, does stepping equal reading in
parallel? What is missing for it to be part of the house, and so to be known to the command line, saved with runs and
walked by all the laws, is a line in the union of mixers (CONTRIBUTING.md).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from semagram.layouts import Sequence, Visibility
from semagram.layouts.geometry import Geometry
from semagram.models import Transformer
from semagram.objectives import NextToken, weighted_nats
from semagram.predictors import RankByRank, predictor_of
from semagram.text.characters import Characters
from semagram.training.optimisers import AdamW
from semagram.verbs.audit import AuditReport, audit

TEXT = "the quick brown fox jumps over the lazy dog and the five boxing wizards jump quickly " * 9


@dataclass(frozen=True)
class FadingMean:
    """``m_t = keep m_{t-1} + (1 - keep) W x_t``, feature by feature, with a learnt ``keep``."""

    keep: float = 0.7
    """At the beginning of training, of every feature."""
    reads_pairs = False
    """Packed documents and prefixes are refused: the mean would run across them."""

    def visibilities(self) -> frozenset[Visibility]:
        """It looks back, so nothing else."""
        return frozenset({Visibility.CAUSAL})

    def build(self, width: int) -> FadingMeanMixer:
        """The module."""
        return FadingMeanMixer(self, width)


class FadingMeanState:
    """The mean so far, ``(b, d)``."""

    def __init__(self, mean: Tensor) -> None:
        self.mean, self.length = mean, 0


class FadingMeanMixer(nn.Module):
    """See ``FadingMean``."""

    def __init__(self, config: FadingMean, width: int) -> None:
        super().__init__()
        self.inwards = nn.Linear(width, width, bias=False)
        self.keep = nn.Parameter(torch.full((width,), config.keep).logit())

    def output_projections(self) -> list[nn.Linear]:
        """What a block may start at zero."""
        return [self.inwards]

    def forward(self, x: Tensor, geometry: Geometry) -> Tensor:
        """``(b, n, d) -> (b, n, d)``; padding adds nothing."""
        new = self.inwards(x)
        if geometry.keep is not None:
            new = new * geometry.keep[..., None]
        return self.along(x.new_zeros(x.shape[0], x.shape[2]), new)[0]

    def new_state(self, batch: int, capacity: int) -> FadingMeanState:
        """As much whatever the ``capacity``."""
        return FadingMeanState(self.keep.new_zeros(batch, len(self.keep)))

    def step(self, x: Tensor, geometry: Geometry, state: FadingMeanState) -> Tensor:
        """The coming slots."""
        found, state.mean = self.along(state.mean, self.inwards(x))
        state.length += x.shape[1]
        return found

    def along(self, mean: Tensor, new: Tensor) -> tuple[Tensor, Tensor]:
        """The mean at every slot of ``new (b, n, d)``, and the last one, begun from ``mean (b, d)``."""
        keep, slots = self.keep.sigmoid(), []
        for slot in new.unbind(dim=1):
            mean = keep * mean + (1 - keep) * slot
            slots.append(mean)
        return torch.stack(slots, dim=1), mean


def trained(steps: int, mixer: object | None = None, length: int = 32) -> tuple[AuditReport, list[float]]:
    """Train a transformer of ``mixer`` (none: the fading mean); its audit, and the nats a character of every step."""
    torch.manual_seed(0)
    tokenizer = Characters().train(TEXT)
    ids = torch.from_numpy(np.asarray(tokenizer.encode(TEXT)))
    layout, objective = Sequence(length), NextToken()
    model = Transformer(width=32, depth=2, mixer=mixer or FadingMean())  # type: ignore[arg-type]
    network = model.build(tokenizer.vocabulary_size, layout, Visibility.CAUSAL)
    geometry = Geometry.of(layout.positions(), Visibility.CAUSAL)
    stepper, losses = AdamW(rate=1e-2).build(network), []
    for step in range(steps):
        begins = torch.randint(0, len(ids) - length, (16, 1), generator=torch.Generator().manual_seed(step))
        clean = ids[begins + torch.arange(length)]
        example = objective.example(clean, geometry, tokenizer.vocabulary_size, torch.Generator())
        loss = weighted_nats(network(example.inputs, geometry), example)
        loss.backward()
        stepper.step(1.0)
        stepper.forget_gradients()
        losses.append(float(loss.detach()))
    predictor = predictor_of(network.eval(), layout, RankByRank())
    return audit(predictor, TEXT, tokenizer, name="fading mean", steps=16), losses


if __name__ == "__main__":
    report, losses = trained(100)
    print(f"loss: {losses[0]:.2f} nats a character at first, {losses[-1]:.2f} after {len(losses)} steps")
    print(report.as_text())
