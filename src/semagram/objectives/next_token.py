"""Next token: every cell is predicted from the cells written before it. Exact, needs CAUSAL visibility.

Slot i (in order of writing) asks for cell i and is shown the token of cell i - 1; the first is shown the reserved
id. So the first token is predicted too, and the loss is the exact negative log-likelihood of the canvas.

Three things may be asked beside it, in training only: a z-loss, ``z_loss * mean(logsumexp(logits)^2)``, which keeps
logits from drifting (PaLM, arXiv 2204.02311); label smoothing (1512.00567), whose part beyond the loss is
``smoothing * (mean over the vocabulary of -log p, minus the loss)``; and forgetful causal masking (2210.13432), which
hides a random share of earlier slots from all others. Noise exchanges a share of the tokens shown for random ones. The
loss that is reported stays the negative log-likelihood (under ``forget`` and ``noise``, in training, that of the
network so hindered; held-out scores are without them). Tested against torch's label smoothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from semagram.errors import UserError
from semagram.layouts import Visibility
from semagram.layouts.geometry import Geometry
from semagram.objectives.contract import Example, LossKind, weighted_nats


@dataclass(frozen=True)
class NextToken:
    """Predict each token from those written before it."""

    z_loss: float = 0.0
    """Times the mean square of logsumexp(logits), trained beside the loss; 1e-4 is usual, 0: none."""
    smoothing: float = 0.0
    """Share of the target's weight that is spread over the vocabulary, in training."""
    forget: float = 0.0
    """Largest share of a canvas's slots that are hidden from all others, in training; each canvas draws its own."""
    noise: float = 0.0
    """Share of the tokens shown that are exchanged for random ones, in training; what is asked for stays as it is."""

    def __post_init__(self) -> None:
        if not 0.0 <= self.z_loss <= 1.0:
            raise UserError(f"objective.z_loss must be from 0 to 1, got {self.z_loss}.")
        for name in ("smoothing", "forget", "noise"):
            if not 0.0 <= getattr(self, name) < 1.0:
                raise UserError(f"objective.{name} must be from 0 up to, not including, 1; got {getattr(self, name)}.")

    @property
    def visibility(self) -> Visibility:
        """What the network must keep to."""
        return Visibility.CAUSAL

    @property
    def loss_kind(self) -> LossKind:
        """What the loss means."""
        return "nll"

    @property
    def judged(self) -> NextToken:
        """What the held-out text is scored with: nothing is hidden or exchanged there."""
        return replace(self, forget=0.0, noise=0.0)

    def example(self, ids: Tensor, geometry: Geometry, mask_id: int, generator: torch.Generator) -> Example:
        """``ids (b, n)`` in cell order. Random numbers are needed for ``forget`` and ``noise`` only."""
        targets = ids[:, geometry.order]
        keep = remembered(targets, self.forget, generator) if self.forget else None
        shown = shifted(targets, mask_id)
        if self.noise:
            shown = exchanged(shown, self.noise, mask_id, generator)
        return Example(shown, targets, None, float(targets.numel()), keep)

    def auxiliary(self, logits: Tensor, example: Example) -> dict[str, Tensor]:
        """Scalars by name; see the module."""
        return logit_penalties(logits, example, self.z_loss, self.smoothing)


def logit_penalties(logits: Tensor, example: Example, z_loss: float, smoothing: float) -> dict[str, Tensor]:
    """z-loss and what smoothing adds to the loss, over what is asked. ``logits (b, n, v)``."""
    found: dict[str, Tensor] = {}
    if not (z_loss or smoothing):
        return found
    weights = torch.ones_like(logits[..., 0]) if example.weights is None else example.weights
    size = logits.logsumexp(dim=-1)
    if z_loss:
        found["z_loss"] = z_loss * (weights * size.square()).sum() / example.count
    if smoothing:
        everywhere = (weights * (size - logits.mean(dim=-1))).sum() / example.count
        found["smoothing"] = smoothing * (everywhere - weighted_nats(logits, example))
    return found


def remembered(targets: Tensor, most: float, generator: torch.Generator) -> Tensor:
    """Bool ``(b, n)``: False at a random share, up to ``most``, of each row's slots; the first is never hidden."""
    rows, n = targets.shape
    share = torch.rand(rows, 1, generator=generator) * most
    keep = torch.rand(rows, n, generator=generator) >= share
    keep[:, 0] = True
    return keep.to(targets.device)


def exchanged(inputs: Tensor, share: float, mask_id: int, generator: torch.Generator) -> Tensor:
    """``inputs (b, n)`` with a ``share`` of them drawn anew from ids 0 .. mask_id - 1; the reserved id stays."""
    wrong = torch.randint(0, mask_id, inputs.shape, generator=generator).to(inputs.device)
    chosen = (torch.rand(inputs.shape, generator=generator) < share).to(inputs.device)
    return torch.where(chosen & (inputs != mask_id), wrong, inputs)


def shifted(targets: Tensor, mask_id: int) -> Tensor:
    """``(b, n)`` targets in order of writing -> the inputs: one to the right, the reserved id first."""
    first = torch.full_like(targets[:, :1], mask_id)
    return torch.cat([first, targets[:, :-1]], dim=1)
