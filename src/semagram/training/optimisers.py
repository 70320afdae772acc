"""The optimisers a recipe may choose. Each config's ``build`` makes the optimiser for a network."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class AdamW:
    """Adam with decoupled weight decay (arXiv 1711.05101), torch's fused kernel."""

    rate: float = 1e-3
    """Peak learning rate."""
    beta1: float = 0.9
    """Decay of the gradient's mean."""
    beta2: float = 0.99
    """Decay of the gradient's square."""
    weight_decay: float = 0.1
    """Of matrices; gains and embeddings are not decayed."""


@dataclass(frozen=True)
class Muon:
    """Momentum, orthogonalised matrix by matrix (Muon); AdamW for embeddings, gains and the head."""

    rate: float = 0.02
    """Peak learning rate of hidden matrices."""
    adam_rate: float = 5e-3
    """Peak learning rate of everything else."""
    momentum: float = 0.95
    """Nesterov momentum of hidden matrices."""
    weight_decay: float = 0.0
    """Of hidden matrices."""
    steps: int = 5
    """Newton-Schulz iterations of the orthogonalisation."""


Optimiser = AdamW | Muon
