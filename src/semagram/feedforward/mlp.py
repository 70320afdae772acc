"""The feedforward network at one position: up, activation, down (arXiv 1706.03762; ReLU squared: 2109.08668)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from semagram.errors import UserError

Activation = Literal["relu_squared", "gelu", "silu", "relu"]


def activate(x: Tensor, activation: Activation) -> Tensor:
    """Apply the named activation element by element."""
    if activation == "relu_squared":
        return relu_squared(x)
    if activation == "gelu":
        return F.gelu(x)
    if activation == "silu":
        return F.silu(x)
    return F.relu(x)


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


def hidden_width(width: int, multiple: float) -> int:
    """``width * multiple`` rounded to a whole number of at least one."""
    return max(1, round(width * multiple))


@dataclass(frozen=True)
class MLP:
    """Two linear maps with an activation between them."""

    multiple: float = 4.0
    """Hidden width as a multiple of the model's width."""
    activation: Activation = "relu_squared"
    """relu_squared: relu(x)^2; gelu; silu; relu."""

    def __post_init__(self) -> None:
        if not self.multiple > 0:
            raise UserError(f"feedforward multiple must be above 0, got {self.multiple}.")

    def build(self, width: int) -> MLPLayer:
        """The module for model width d."""
        return MLPLayer(self, width)


class MLPLayer(nn.Module):
    """``(..., d) -> (..., d)``: down(activation(up(x)))."""

    def __init__(self, config: MLP, width: int) -> None:
        super().__init__()
        hidden = hidden_width(width, config.multiple)
        self.activation: Activation = config.activation
        self.up = nn.Linear(width, hidden, bias=False)
        self.down = nn.Linear(hidden, width, bias=False)

    def output_projections(self) -> list[nn.Linear]:
        """The linear map that writes into the residual stream."""
        return [self.down]

    def forward(self, x: Tensor) -> Tensor:
        """Position by position."""
        return self.down(activate(self.up(x), self.activation))

    def single(self) -> Callable[[Tensor, Tensor], Tensor]:
        """``(x (b, d), residual (b, d)) -> residual + forward(x)``, for the stepping of ``mixers/single.py``."""
        up, down = self.up.weight.detach().t().contiguous(), self.down.weight.detach().t().contiguous()
        activation = self.activation
        return lambda x, residual: torch.addmm(residual, activate(torch.mm(x, up), activation), down)
