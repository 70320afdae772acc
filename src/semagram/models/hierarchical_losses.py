"""What the levels of a hierarchy may be asked for beside the next token, in training only; off by default.

An element of level (c, s) that ends at slot t has read the inputs of slots t-c+1 .. t. The next chunk that does not
overlap it ends at slot t + c: element m + c / s. All targets are held fixed (no gradient), and those of NextLatent
are centred besides (the batch's mean element is taken off and what is left scaled to one length), so that a level wins
nothing by making its elements all alike; whether it did is told by ``health``.

| kind | asks of the elements at the top | from |
|---|---|---|
| Prophet | the next c inputs, by one linear map | multi-token prediction (arXiv 2404.19737) |
| Predictive | the next chunk's code: nearest of frozen random vectors to a frozen projection | BEST-RQ (2202.01855) |
| NextLatent | how the next chunk's element differs from the mean one: 0.1 squared error + 0.9 (1 - cosine) | JEPA |
| Reconstruct | the c inputs just read | autoencoder |

Each loss is a mean over elements, levels with c > 1 summed, times its weight.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from semagram.errors import UserError
from semagram.feedforward.norms import normalise
from semagram.models.hierarchical_level import Level


def _positive(kind: str, weight: float) -> None:
    if not weight > 0:
        raise UserError(f"the weight of {kind} must be above 0 (leave it out instead), got {weight}.")


@dataclass(frozen=True)
class Prophet:
    """Every coarse element predicts the tokens of the next chunk."""

    weight: float = 0.1
    """Of this loss beside the objective's."""

    def __post_init__(self) -> None:
        _positive("Prophet", self.weight)

    def build(self, levels: Sequence[Level], vocabulary_size: int, width: int) -> _Tokens:
        """The maps."""
        return _Tokens(levels, vocabulary_size, self.weight, "prophet", ahead=True)


@dataclass(frozen=True)
class Reconstruct:
    """Every coarse element must still know the tokens that it sums up."""

    weight: float = 0.1
    """Of this loss beside the objective's."""

    def __post_init__(self) -> None:
        _positive("Reconstruct", self.weight)

    def build(self, levels: Sequence[Level], vocabulary_size: int, width: int) -> _Tokens:
        """The maps."""
        return _Tokens(levels, vocabulary_size, self.weight, "reconstruct", ahead=False)


@dataclass(frozen=True)
class Predictive:
    """Every coarse element predicts the code of the next chunk."""

    weight: float = 0.1
    """Of this loss beside the objective's."""
    codebooks: int = 4
    """Codes of each chunk."""
    codes: int = 256
    """Vectors of each codebook."""
    features: int = 16
    """Of each vector."""

    def __post_init__(self) -> None:
        _positive("Predictive", self.weight)
        if self.codebooks < 1 or self.codes < 2 or self.features < 1:
            given = f"{self.codebooks}, {self.codes} and {self.features}"
            raise UserError(f"Predictive needs at least 1 codebook of 2 codes and 1 feature, got {given}.")

    def build(self, levels: Sequence[Level], vocabulary_size: int, width: int) -> _Codes:
        """The maps and the frozen codebooks."""
        return _Codes(levels, self)


@dataclass(frozen=True)
class NextLatent:
    """Every coarse element predicts the next chunk's element, and from its own prediction the ones after that."""

    weight: float = 0.1
    """Of this loss beside the objective's."""
    rollouts: int = 1
    """Chunks ahead: the second is predicted from the first prediction, and so on; each counts for less, the worse
    those before it were."""

    def __post_init__(self) -> None:
        _positive("NextLatent", self.weight)
        if self.rollouts < 1:
            raise UserError(f"NextLatent rollouts must be at least 1, got {self.rollouts}.")

    def build(self, levels: Sequence[Level], vocabulary_size: int, width: int) -> _Latents:
        """The maps."""
        return _Latents(levels, self.weight, self.rollouts)


AuxiliaryLoss = Prophet | Predictive | NextLatent | Reconstruct


def _coarse(levels: Sequence[Level]) -> list[int]:
    return [i for i, level in enumerate(levels) if level.factor > 1]


class _Tokens(nn.Module):
    """Prophet and Reconstruct: c tokens at once."""

    def __init__(self, levels: Sequence[Level], vocabulary_size: int, weight: float, name: str, ahead: bool) -> None:
        super().__init__()
        self.levels, self.own, self.weight, self.name, self.ahead = levels, _coarse(levels), weight, name, ahead
        self.vocabulary_size = vocabulary_size
        self.maps = nn.ModuleList(
            nn.Linear(levels[i].width, levels[i].factor * vocabulary_size, bias=False) for i in self.own
        )

    def forward(self, inputs: Tensor, valid: Tensor, made: list[Tensor], tops: list[Tensor]) -> Tensor:
        """``inputs``, ``valid (b, n)``; the compressor's elements and those at the top, for each level."""
        total = inputs.new_zeros((), dtype=tops[0].dtype)
        # The reserved id is not a token and is not asked for; nor is what stands outside of the canvas.
        asked = inputs.masked_fill(~valid | (inputs >= self.vocabulary_size), -100)
        for i, head in zip(self.own, self.maps, strict=True):
            c, s, elements = self.levels[i].factor, self.levels[i].stride, tops[i].shape[1]
            sides = (0, c) if self.ahead else (c - 1, 0)
            windows = F.pad(asked, sides, value=-100).unfold(1, c, 1)[:, int(self.ahead) :]
            targets = windows[:, : asked.shape[1] : s][:, :elements]
            logits = head(tops[i]).unflatten(-1, (c, self.vocabulary_size))
            nats = F.cross_entropy(logits.flatten(0, 2), targets.flatten(), ignore_index=-100, reduction="sum")
            total = total + nats / (targets >= 0).sum().clamp(min=1)
        return total * self.weight


def _next(x: Tensor, level: Level) -> Tensor:
    """Of elements ``(b, m, ...)``, for each the next that does not overlap it: ``(b, m - c / s, ...)``."""
    return x[:, level.phases :]


def _mean_over(values: Tensor, level: Level, valid: Tensor) -> Tensor:
    """The mean of ``values (b, m - c / s)`` over elements whose next chunk ends in a slot that is kept."""
    stands = _next(valid[:, :: level.stride], level)[:, : values.shape[1]]
    return (values * stands).sum() / stands.sum().clamp(min=1)


class _Codes(nn.Module):
    """Predictive; the frozen numbers are saved with the network."""

    def __init__(self, levels: Sequence[Level], config: Predictive) -> None:
        super().__init__()
        self.levels, self.own, self.weight, self.name = levels, _coarse(levels), config.weight, "predictive"
        shape = (config.codebooks, config.codes)
        self.maps = nn.ModuleList(nn.Linear(levels[i].width, shape[0] * shape[1], bias=False) for i in self.own)
        for i in self.own:
            projection = torch.randn(levels[i].width, shape[0], config.features) * levels[i].width ** -0.5
            self.register_buffer(f"projection_{i}", projection)
            self.register_buffer(f"codebook_{i}", F.normalize(torch.randn(*shape, config.features), dim=-1))

    def codes(self, made: Tensor, index: int) -> Tensor:
        """The codes of a level's elements, ``(b, m, d_l) -> (b, m, codebooks)``."""
        projected = torch.einsum("bmd,dkf->bmkf", normalise(made.detach()), self.get_buffer(f"projection_{index}"))
        likeness = torch.einsum("bmkf,kcf->bmkc", F.normalize(projected, dim=-1), self.get_buffer(f"codebook_{index}"))
        return likeness.argmax(dim=-1)

    def forward(self, inputs: Tensor, valid: Tensor, made: list[Tensor], tops: list[Tensor]) -> Tensor:
        """As ``_Tokens``."""
        total = inputs.new_zeros((), dtype=tops[0].dtype)
        for i, head in zip(self.own, self.maps, strict=True):
            targets = _next(self.codes(made[i], i), self.levels[i])
            logits = head(tops[i][:, : targets.shape[1]]).unflatten(-1, (targets.shape[2], -1))
            nats = F.cross_entropy(logits.flatten(0, 2), targets.flatten(), reduction="none").view_as(targets)
            total = total + _mean_over(nats.mean(dim=-1), self.levels[i], valid)
        return total * self.weight


class _Latents(nn.Module):
    """NextLatent: a small network f without a path around it, so that nothing pulls elements towards their targets.

    With rollouts: t_1 = f(e), t_{k+1} = f(norm(mean + spread t_k)); mean and spread of the batch's elements put a
    prediction back among them. The loss is sum w_k L_k / sum w_k, w_1 = 1, w_{k+1} = w_k exp(-L_k), w held fixed.
    """

    def __init__(self, levels: Sequence[Level], weight: float, rollouts: int) -> None:
        super().__init__()
        self.rollouts = rollouts
        self.levels, self.own, self.weight, self.name = levels, _coarse(levels), weight, "next_latent"
        widths = [levels[i].width for i in self.own]
        self.inward = nn.ModuleList(nn.Linear(d, d) for d in widths)
        self.outward = nn.ModuleList(nn.Linear(d, d) for d in widths)

    def forward(self, inputs: Tensor, valid: Tensor, made: list[Tensor], tops: list[Tensor]) -> Tensor:
        """As ``_Tokens``."""
        total = inputs.new_zeros((), dtype=tops[0].dtype)
        for i, inward, outward in zip(self.own, self.inward, self.outward, strict=True):
            level, kept = self.levels[i], valid[:, :: self.levels[i].stride]
            read = normalise(tops[i])
            targets, fixed = centred(read.detach(), kept), read.detach()
            nats, shares, share = [], [], read.new_ones(())
            for _ in range(self.rollouts):
                targets, stands = _next(targets, level), _next(kept, level)
                if not targets.shape[1]:
                    break  # the canvas ends before that chunk does
                told = outward(F.silu(inward(read[:, : targets.shape[1]])))
                apart = (told - targets).square().mean(dim=-1)
                turned = 1.0 - F.cosine_similarity(told, targets, dim=-1)
                lost = ((0.1 * apart + 0.9 * turned) * stands).sum() / stands.sum().clamp(min=1)
                nats.append(lost)
                shares.append(share)
                share, kept = share * torch.exp(-lost.detach()), stands
                mean, spread = _moments(fixed, valid[:, :: level.stride])
                read = normalise(told * spread + mean)
            weighed = sum((w * n for w, n in zip(shares, nats, strict=True)), total.new_zeros(()))
            total = total + weighed / sum(shares, total.new_zeros(())).clamp(min=1.0)
        return total * self.weight


def _moments(x: Tensor, kept: Tensor) -> tuple[Tensor, Tensor]:
    """Of elements ``(b, m, d)`` that are ``kept (b, m)``: mean ``(d,)`` and root mean square of the rest."""
    share = (kept / kept.sum().clamp(min=1))[:, :, None].to(x.dtype)
    mean = (x * share).sum(dim=(0, 1))
    return mean, ((x - mean).square() * share).sum(dim=(0, 1)).mean().sqrt()


def centred(x: Tensor, kept: Tensor) -> Tensor:
    """``(b, m, d)`` less its mean over the elements that are ``kept (b, m)``, each then of mean square 1."""
    share = (kept / kept.sum().clamp(min=1))[:, :, None].to(x.dtype)
    return normalise(x - (x * share).sum(dim=(0, 1)))


@dataclass(frozen=True)
class Health:
    """How alike the elements of a level are."""

    cosine: float
    """Mean cosine of random pairs: near 0 where they differ, near 1 where they have collapsed onto one direction."""
    participation: float
    """(sum of variances)^2 / sum of squared variances over principal axes: how many axes they use, 1 .. width."""

    @property
    def collapsed(self) -> bool:
        """The alarm: pairs point the same way, or all differences lie on one line."""
        return self.cosine > 0.9 or self.participation < 1.5

    def __str__(self) -> str:
        alarm = " - COLLAPSED: an auxiliary loss is won by making all elements alike" if self.collapsed else ""
        return f"cosine of random pairs {self.cosine:.2f}, {self.participation:.1f} axes in use{alarm}"


def health(elements: Tensor) -> Health:
    """Of ``(..., d)``: at least two elements. Pairs are each element with those half the list away."""
    flat = elements.detach().reshape(-1, elements.shape[-1]).double()
    if len(flat) < 2:
        raise ValueError(f"likeness needs at least 2 elements, got {len(flat)}.")
    mixed = flat[torch.randperm(len(flat), generator=torch.Generator().manual_seed(0)).to(flat.device)]
    cosine = F.cosine_similarity(mixed, mixed.roll(len(flat) // 2, dims=0), dim=-1).mean()
    centred = flat - flat.mean(dim=0)
    covariance = centred.t() @ centred / len(flat)
    trace = covariance.diagonal().sum()
    participation = trace.square() / covariance.square().sum().clamp(min=1e-300)
    return Health(float(cosine), float(participation))
