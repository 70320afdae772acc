"""The feedforward network at one position: up, activation, down (arXiv 1706.03762).

ReLU squared: 2109.08668; a norm after the activation: NormFormer, 2110.09456. Tested against x-transformers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from semagram.errors import UserError
from semagram.feedforward.kinds_of_norm import PlainNorm

Activation = Literal["relu_squared", "gelu", "silu", "relu", "gelu_tanh", "quick_gelu", "sigmoid", "tanh", "identity"]


def activate(x: Tensor, activation: Activation) -> Tensor:
    """Apply the named activation element by element."""
    if activation == "relu_squared":
        return relu_squared(x)
    return _PLAIN[activation](x)


_PLAIN: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": F.gelu,
    "silu": F.silu,
    "relu": F.relu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "quick_gelu": lambda x: x * torch.sigmoid(1.702 * x),
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "identity": lambda x: x,
}
"""gelu is exact (GPT-J, BERT), gelu_tanh its usual approximation (GPT-2, Gemma), quick_gelu that of CLIP."""


def relu_squared(x: Tensor) -> Tensor:
    """``relu(x)^2``; on a CPU with a gradient of two passes instead of torch's five."""
    if torch.is_grad_enabled() and x.requires_grad and x.device.type == "cpu" and not torch.compiler.is_compiling():
        return _ReluSquared.apply(x)  # type: ignore[return-value]
    return F.relu(x).square()


class _ReluSquared(torch.autograd.Function):
    """y = h^2 with h = relu(x); dx = 2 h dy, which is 0 by itself where x is negative."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:  # type: ignore[no-untyped-def, override]
        """Keeps h."""
        h = torch.relu(x)
        ctx.save_for_backward(h)
        return h * h

    @staticmethod
    @once_differentiable
    def backward(ctx, dy: Tensor) -> Tensor:  # type: ignore[no-untyped-def, override]
        """The second pass is in place."""
        (h,) = ctx.saved_tensors
        return (dy * h).mul_(2.0)


def hidden_width(width: int, multiple: float, hidden: int | None = None) -> int:
    """``hidden``, or ``width * multiple`` rounded to a whole number of at least one."""
    return max(1, round(width * multiple)) if hidden is None else hidden


def check_hidden(multiple: float, usual: float, hidden: int | None) -> None:
    """Raise ``UserError`` for widths below one, and for a multiple beside an exact width."""
    if not multiple > 0:
        raise UserError(f"feedforward multiple must be above 0, got {multiple}.")
    if hidden is not None and hidden < 1:
        raise UserError(f"feedforward hidden must be at least 1 or none, got {hidden}.")
    if hidden is not None and multiple != usual:
        raise UserError(f"feedforward takes hidden or multiple, not both; got {hidden} and {multiple}.")


def check_dropout(share: float) -> None:
    """Raise ``UserError`` for what is no share that leaves something."""
    if not 0.0 <= share < 1.0:
        raise UserError(f"feedforward dropout must be from 0 up to, not including, 1; got {share}.")


@dataclass(frozen=True)
class MLP:
    """Two linear maps with an activation between them."""

    multiple: float = 4.0
    """Hidden width as a multiple of the model's width."""
    activation: Activation = "relu_squared"
    """relu_squared: relu(x)^2; gelu; silu; relu; and more."""
    bias: bool = False
    """Add a learned bias after both maps."""
    hidden: int | None = None
    """Hidden width, exactly; none: by the multiple."""
    inner_norm: PlainNorm | None = None
    """Norm after the activation (NormFormer); none: none."""
    dropout: float = 0.0
    """Share of hidden features zeroed in training, the rest scaled up (arXiv 1706.03762)."""

    def __post_init__(self) -> None:
        check_hidden(self.multiple, 4.0, self.hidden)
        check_dropout(self.dropout)

    def build(self, width: int) -> MLPLayer:
        """The module for model width d."""
        return MLPLayer(self, width)


class MLPLayer(nn.Module):
    """``(..., d) -> (..., d)``: down(activation(up(x)))."""

    def __init__(self, config: MLP, width: int) -> None:
        super().__init__()
        hidden = hidden_width(width, config.multiple, config.hidden)
        self.activation: Activation = config.activation
        self.dropout = config.dropout
        self.up = nn.Linear(width, hidden, bias=config.bias)
        self.down = nn.Linear(hidden, width, bias=config.bias)
        self.inner_norm = None if config.inner_norm is None else config.inner_norm.build(hidden)
        self.initialise()

    def initialise(self) -> None:
        """Biases start at 0; the weights are the model's affair."""
        for bias in (self.up.bias, self.down.bias):
            if bias is not None:
                nn.init.zeros_(bias)

    def output_projections(self) -> list[nn.Linear]:
        """The linear map that writes into the residual stream."""
        return [self.down]

    def forward(self, x: Tensor) -> Tensor:
        """Position by position."""
        hidden = activate(self.up(x), self.activation)
        hidden = hidden if self.inner_norm is None else self.inner_norm(hidden)
        return self.down(F.dropout(hidden, self.dropout) if self.dropout and self.training else hidden)

    def single(self) -> Callable[[Tensor, Tensor], Tensor]:
        """``(x (b, d), residual (b, d)) -> residual + forward(x)``, for the stepping of ``mixers/single.py``."""
        if self.up.bias is not None or self.inner_norm is not None:
            return lambda x, residual: residual + self.forward(x)
        up, down = self.up.weight.detach().t().contiguous(), self.down.weight.detach().t().contiguous()
        activation = self.activation
        return lambda x, residual: torch.addmm(residual, activate(torch.mm(x, up), activation), down)
