"""Muon: the momentum of each hidden matrix, orthogonalised, is the step (Jordan et al. 2024; arXiv 2502.16982).

All matrices of one shape are orthogonalised together in batched products, and stacked weights (queries, keys and
values in one) are taken apart first, since each is a map of its own. A wide matrix is turned on its side, so that
up and down projections share a batch. The Newton-Schulz iteration works on the small Gram matrix X^T X, which for a
four-to-one matrix needs a third of the products; ``newton_schulz_reference`` is the definition.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from semagram.training.parameters import Part

A, B, C = 3.4445, -4.7750, 2.0315
"""Keller Jordan's quintic: singular values go to about 0.7 .. 1.2 in five rounds."""


class MuonGroup:
    """The hidden matrices of one shape (tall side first), with their momentum ``(k, r, c)``."""

    def __init__(self, views: list[Tensor], slots: list[tuple[Part, int, int, bool]]) -> None:
        self.views = views
        self.slots = slots
        rows, columns = views[0].shape
        self.momentum = views[0].new_zeros(len(views), rows, columns)

    @property
    def name(self) -> str:
        """Of its state in a checkpoint."""
        return f"momentum.{self.momentum.shape[1]}x{self.momentum.shape[2]}"

    def gradients(self) -> Tensor:
        """``(k, r, c)``, stacked as the views are."""
        found = []
        for part, start, stop, turned in self.slots:
            gradient = part.parameter.grad
            if gradient is None:
                gradient = torch.zeros_like(part.parameter)
            found.append(gradient[start:stop].T if turned else gradient[start:stop])
        return torch.stack(found)


class Muon:
    """Momentum and update of hidden matrices; everything else belongs to AdamW."""

    def __init__(self, hidden: list[Part], momentum: float, weight_decay: float, steps: int) -> None:
        self.parts = hidden
        self._momentum, self._weight_decay, self._steps = momentum, weight_decay, steps
        by_shape: dict[tuple[int, int], tuple[list[Tensor], list[tuple[Part, int, int, bool]]]] = {}
        for part in hidden:
            start = 0
            for rows in part.rows:
                matrix = part.parameter.detach()[start : start + rows]
                turned = matrix.shape[0] < matrix.shape[1]
                view = matrix.T if turned else matrix
                views, slots = by_shape.setdefault((view.shape[0], view.shape[1]), ([], []))
                views.append(view)
                slots.append((part, start, start + rows, turned))
                start += rows
        self.groups = [MuonGroup(views, slots) for views, slots in by_shape.values()]

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """One step of every matrix at learning rate ``rate``."""
        for group in self.groups:
            gradients = group.gradients()
            group.momentum.lerp_(gradients, 1 - self._momentum)
            nesterov = gradients.lerp_(group.momentum, self._momentum)
            update = newton_schulz(nesterov, self._steps)
            # Columns are orthonormal after it, so a long matrix's entries are small: they are made up for, whichever
            # way it lies, by the root of longer over shorter side.
            alpha = -rate * (update.shape[1] / update.shape[2]) ** 0.5
            for view, step in zip(group.views, update.unbind(0), strict=True):
                if self._weight_decay:
                    view.mul_(1 - rate * self._weight_decay)
                view.add_(step, alpha=alpha)

    def state(self) -> dict[str, Tensor]:
        """The momentum tensors themselves, by name."""
        return {group.name: group.momentum for group in self.groups}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Take back what ``state`` gave."""
        for group in self.groups:
            group.momentum.copy_(state[group.name])


def newton_schulz(matrices: Tensor, steps: int) -> Tensor:
    """``(k, r, c)`` with r >= c -> nearly the nearest matrices with orthonormal columns; through the Gram matrix.

    Each round maps X to X (A + B G + C G^2) with G = X^T X; the rounds' polynomials commute with G, so they are
    gathered in a c x c product and X is multiplied once, at the end.
    """
    if matrices.shape[1] == matrices.shape[2]:
        return newton_schulz_reference(matrices, steps)
    norm = matrices.flatten(1).norm(dim=1).clamp_(min=1e-7)[:, None, None]
    gram = torch.bmm(matrices.mT, matrices) / norm.square()
    product: Tensor | None = None
    for i in range(steps):
        factor = torch.baddbmm(gram, gram, gram, beta=B, alpha=C)
        factor.diagonal(dim1=1, dim2=2).add_(A)
        product = factor if product is None else torch.bmm(product, factor)
        if i < steps - 1:
            gram = torch.bmm(torch.bmm(factor, gram), factor)
    return matrices if product is None else torch.bmm(matrices, product.div_(norm))


def newton_schulz_reference(matrices: Tensor, steps: int) -> Tensor:
    """The definition, ``(k, r, c)`` with r >= c: scale to norm 1, then X <- A X + B X G + C X G^2, ``steps`` times."""
    x = matrices / matrices.flatten(1).norm(dim=1).clamp(min=1e-7)[:, None, None]
    for _ in range(steps):
        gram = torch.bmm(x.mT, x)
        factor = torch.baddbmm(gram, gram, gram, beta=B, alpha=C)
        x = torch.baddbmm(x, x, factor, beta=A)
    return x
