"""The selective scan with a decay for every feature and state (Mamba, arXiv 2312.00752), exact, with its own gradient.

    h_t = exp(dt_t A) h_{t-1} + dt_t x_t B_t^T,      y_t = h_t C_t + D x_t,      out = W_o (y * silu(z))

A is ``(inner, N)``, dt a number for every feature: no product of matrices gives it, so the scan goes slot by slot. Its
gradient is written by hand: of the states only every 16th is kept (sixteen times less memory than autograd's), the
others are worked out again on the way back; only the two recurrences are loops. On a CPU that is quicker than a
logarithmic scan. ``reference`` is the recurrence by autograd. Tested against it, and against Hugging Face's Mamba.
For new work ``StateSpace`` (Mamba-2) is several times faster.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from semagram.errors import UserError
from semagram.feedforward.basis import Basis
from semagram.feedforward.piecewise import PiecewiseProjection
from semagram.layouts.geometry import Geometry
from semagram.layouts.visibility import Visibility
from semagram.mixers.convolution import shifted_sum
from semagram.mixers.projection import projection
from semagram.mixers.state_space import StateSpaceState, check_state_space, convolution_parameters, first_steps

KEPT = 16
"""Of so many states one is kept for the backward pass."""


@dataclass(frozen=True)
class SelectiveScan:
    """A recurrence with its own forgetting for every feature (Mamba-1)."""

    expand: float = 2.0
    """Inner width as a multiple of the model's."""
    state: int = 16
    """Numbers kept for each inner feature, N."""
    rank: int | None = None
    """Width through which the steps dt are computed; none: model width / 16."""
    kernel: int = 4
    """Slots of the short convolution before the recurrence, its own included."""
    links: Basis | None = None
    """Functions on the links of all four projections; none: linear maps."""

    def __post_init__(self) -> None:
        check_state_space(self.expand, self.state, self.kernel, self.links)
        if self.rank is not None and self.rank < 1:
            raise UserError(f"selective scan rank must be at least 1 or none, got {self.rank}.")

    def visibilities(self) -> frozenset[Visibility]:
        """It reads in order."""
        return frozenset({Visibility.CAUSAL})

    def build(self, width: int) -> SelectiveScanMixer:
        """The module."""
        return SelectiveScanMixer(self, width)


class SelectiveScanMixer(nn.Module):
    """See ``SelectiveScan``."""

    def __init__(self, config: SelectiveScan, width: int) -> None:
        super().__init__()
        inner = max(1, round(width * config.expand))
        rank = config.rank or -(-width // 16)
        self.kernel, self.state, self.inner, self.rank = config.kernel, config.state, inner, rank
        self.inward = projection(width, 2 * inner, config.links)
        self.taps, self.taps_bias = convolution_parameters(config.kernel, inner)
        self.selection = projection(inner, rank + 2 * config.state, config.links)
        self.steps = projection(rank, inner, config.links)
        self.step_bias = nn.Parameter(first_steps(inner))
        self.decay_log = nn.Parameter(torch.arange(1.0, config.state + 1).log().repeat(inner, 1))
        self.skip = nn.Parameter(torch.ones(inner))
        self.outward = projection(inner, width, config.links)

    def output_projections(self) -> list[nn.Linear | PiecewiseProjection]:
        """The projection that writes into the residual stream."""
        return [self.outward]

    def forward(self, x: Tensor, geometry: Geometry) -> Tensor:
        """``(b, n, d) -> (b, n, d)``; padding slots neither write into the memory nor make it fade."""
        inside, gate = self.inward(x).split(self.inner, dim=-1)
        if geometry.keep is not None:
            inside = inside * geometry.keep[:, :, None]
        parts = self._select(F.pad(inside, (0, 0, self.kernel - 1, 0)))
        return self._out(scan(*self._masked(parts, geometry)), parts[0], gate)

    def new_state(self, batch: int, capacity: int) -> StateSpaceState:
        """Room for one memory a row; ``capacity`` does not matter."""
        return StateSpaceState(batch, (self.kernel - 1, self.inner), (self.inner, self.state), self.taps)

    def step(self, x: Tensor, geometry: Geometry, state: StateSpaceState) -> Tensor:
        """The coming ``g`` slots."""
        inside, gate = self.inward(x).split(self.inner, dim=-1)
        joined = torch.cat([state.recent, inside], dim=1)
        state.recent.copy_(joined[:, joined.shape[1] - (self.kernel - 1) :])
        inside, steps, keys, queries = self._select(joined)
        found = []
        for t in range(x.shape[1]):
            fade = torch.exp(steps[:, t, :, None] * self._decays())
            state.memory.mul_(fade).addcmul_((steps[:, t] * inside[:, t])[:, :, None], keys[:, t, None])
            found.append((state.memory @ queries[:, t, :, None]).squeeze(-1))
        state.length += x.shape[1]
        return self._out(torch.stack(found, dim=1), inside, gate)

    def _decays(self) -> Tensor:
        return -self.decay_log.exp()

    def _select(self, padded: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """``(b, k - 1 + n, inner)`` -> x and dt ``(b, n, inner)``, B and C ``(b, n, N)``."""
        inside = F.silu(shifted_sum(padded, self.taps) + self.taps_bias)
        steps, keys, queries = self.selection(inside).split([self.rank, self.state, self.state], dim=-1)
        return inside, F.softplus(self.steps(steps) + self.step_bias), keys, queries

    def _masked(self, parts: tuple[Tensor, Tensor, Tensor, Tensor], geometry: Geometry) -> tuple[Tensor, ...]:
        """What ``scan`` reads: dt x, dt, A, B, C, the steps of padding being 0."""
        inside, steps, keys, queries = parts
        if geometry.keep is not None:
            steps = steps * geometry.keep[:, :, None]
        return steps * inside, steps, self._decays(), keys, queries

    def _out(self, mixed: Tensor, inside: Tensor, gate: Tensor) -> Tensor:
        return self.outward(torch.addcmul(mixed, inside, self.skip) * F.silu(gate))


def scan(x: Tensor, steps: Tensor, decays: Tensor, keys: Tensor, queries: Tensor) -> Tensor:
    """The recurrence ``h = exp(dt A) h + x k^T``, ``y = h q`` from an empty memory.

    ``x``, ``steps`` (dt) ``(b, n, e)``, ``decays`` (A) ``(e, N)``, ``keys``, ``queries (b, n, N)`` -> ``(b, n, e)``.
    """
    if torch.compiler.is_compiling():
        return reference(x, steps, decays, keys, queries)
    in_time = (t.transpose(0, 1).contiguous() for t in (x, steps))
    across = (t.transpose(0, 1).contiguous() for t in (keys, queries))
    return _Scan.apply(*in_time, decays, *across).transpose(0, 1)  # type: ignore[union-attr]


class _Scan(torch.autograd.Function):
    """Time comes first: ``(n, b, e)``. With g the gradient of h: g_t = g_{t+1} fade_{t+1} + dy_t q_t^T."""

    @staticmethod
    def forward(ctx, x: Tensor, steps: Tensor, decays: Tensor, keys: Tensor, queries: Tensor) -> Tensor:  # type: ignore[no-untyped-def, override]
        """Keeps the inputs and the state before every ``KEPT`` slots."""
        memory = x.new_zeros(x.shape[1], x.shape[2], keys.shape[2])
        y, kept = torch.empty_like(x), []
        for first in range(0, x.shape[0], KEPT):
            part = slice(first, first + KEPT)
            kept.append(memory)
            states, _ = _states(x[part], steps[part], decays, keys[part], memory)
            torch.matmul(states, queries[part, :, :, None], out=y[part, :, :, None])
            memory = states[-1].clone()
        ctx.save_for_backward(x, steps, decays, keys, queries, *kept)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx, dy: Tensor):  # type: ignore[no-untyped-def, override]
        """Part by part from the end; the states of a part are worked out again."""
        x, steps, decays, keys, queries, *kept = ctx.saved_tensors
        dx, dsteps, dkeys, dqueries = (torch.empty_like(t) for t in (x, steps, keys, queries))
        ddecays = torch.zeros_like(decays)
        later = torch.zeros_like(kept[0])
        for number in reversed(range(len(kept))):
            part = slice(number * KEPT, (number + 1) * KEPT)
            states, fades = _states(x[part], steps[part], decays, keys[part], kept[number])
            dqueries[part] = (dy[part, :, None] @ states).squeeze(2)
            grads = dy[part, :, :, None] * queries[part, :, None]
            for t in reversed(range(grads.shape[0])):
                grads[t] += later
                later = grads[t] * fades[t]
            dx[part] = (grads @ keys[part, :, :, None]).squeeze(3)
            dkeys[part] = (x[part, :, None] @ grads).squeeze(2)
            before = torch.cat([kept[number][None], states[:-1]])
            through = grads.mul_(fades).mul_(before)  # the gradient of dt A
            dsteps[part] = torch.einsum("tbes,es->tbe", through, decays)
            ddecays += torch.einsum("tbes,tbe->es", through, steps[part])
        return dx, dsteps, ddecays, dkeys, dqueries


def _states(x: Tensor, steps: Tensor, decays: Tensor, keys: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
    """The states after each slot and the fading before it, ``(t, b, e, N)`` both."""
    fades = torch.exp(steps[..., None] * decays)
    states = x[..., None] * keys[:, :, None]
    for t in range(x.shape[0]):
        memory = states[t].addcmul_(fades[t], memory)
    return states, fades


def reference(x: Tensor, steps: Tensor, decays: Tensor, keys: Tensor, queries: Tensor) -> Tensor:
    """The definition, slot by slot; shapes as ``scan``."""
    memory = x.new_zeros(x.shape[0], x.shape[2], keys.shape[2])
    found = []
    for t in range(x.shape[1]):
        memory = torch.exp(steps[:, t, :, None] * decays) * memory + x[:, t, :, None] * keys[:, t, None]
        found.append((memory * queries[:, t, None]).sum(-1))
    return torch.stack(found, dim=1)
