"""The selective state space with one decay a head (Mamba-2, arXiv 2405.21060), as matrix products over chunks.

    h_t = exp(dt_t A) h_{t-1} + dt_t x_t B_t^T,      y_t = h_t C_t + D x_t,      out = W_o norm(y * silu(z))

x, B, C come from one projection and a short causal convolution, dt = softplus(. + bias), A < 0 a number a head. State a
head: ``(p, N)``, whatever the length: one more token costs the same at the end of a text as at its beginning.

``chunked`` works within chunks by a masked product as attention does and carries one state from chunk to chunk;
``reference`` is the recurrence, slot by slot. Tested against it, and against Hugging Face's Mamba2 with copied weights.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from semagram.errors import UserError
from semagram.feedforward.basis import Basis
from semagram.feedforward.norms import normalise
from semagram.feedforward.piecewise import PiecewiseProjection, check_inner
from semagram.layouts.geometry import Geometry
from semagram.layouts.visibility import Visibility
from semagram.mixers.convolution import shifted_sum
from semagram.mixers.projection import projection

CHUNK = 32
"""Slots that are multiplied together; the best of 16 .. 128 on a CPU."""
STEP_RANGE = (0.001, 0.1)
"""Of dt at the beginning, spread evenly on a logarithmic scale."""


@dataclass(frozen=True)
class StateSpace:
    """A recurrence with input-dependent forgetting (Mamba-2)."""

    heads: int = 4
    """Heads, each with its own decay."""
    expand: float = 2.0
    """Inner width as a multiple of the model's."""
    state: int = 32
    """Numbers kept for each inner feature, N."""
    kernel: int = 4
    """Slots of the short convolution before the recurrence, its own included."""
    links: Basis | None = None
    """Functions on the links of both projections; none: linear maps."""

    def __post_init__(self) -> None:
        check_state_space(self.expand, self.state, self.kernel, self.links)
        if self.heads < 1:
            raise UserError(f"state space heads must be at least 1, got {self.heads}.")

    def visibilities(self) -> frozenset[Visibility]:
        """It reads in order."""
        return frozenset({Visibility.CAUSAL})

    def build(self, width: int) -> StateSpaceMixer:
        """The module; raises ``UserError`` for an inner width that heads do not divide."""
        inner = round(width * self.expand)
        if inner % self.heads != 0:
            raise UserError(f"inner width {inner} ({self.expand} x {width}) is not divisible by {self.heads} heads.")
        return StateSpaceMixer(self, width, inner)


def check_state_space(expand: float, state: int, kernel: int, links: Basis | None) -> None:
    """Raise ``UserError`` for sizes that cannot be."""
    if not expand > 0:
        raise UserError(f"state space expand must be above 0, got {expand}.")
    if state < 1 or kernel < 1:
        raise UserError(f"state space state and kernel must be at least 1, got {state} and {kernel}.")
    if links is not None:
        check_inner(links)


class StateSpaceState:
    """The last inputs of the convolution ``(b, k - 1, c)`` and the recurrence's memory; zero before the beginning."""

    def __init__(self, batch: int, recent: tuple[int, int], memory: tuple[int, ...], like: Tensor) -> None:
        self.recent = torch.zeros(batch, *recent, dtype=like.dtype, device=like.device)
        self.memory = torch.zeros(batch, *memory, dtype=like.dtype, device=like.device)
        self.length = 0


class StateSpaceMixer(nn.Module):
    """See ``StateSpace``."""

    def __init__(self, config: StateSpace, width: int, inner: int) -> None:
        super().__init__()
        self.heads, self.state, self.kernel = config.heads, config.state, config.kernel
        self.sizes = [inner, inner + 2 * config.state, config.heads]
        self.inward = projection(width, sum(self.sizes), config.links)
        self.taps, self.taps_bias = convolution_parameters(config.kernel, self.sizes[1])
        self.step_bias = nn.Parameter(first_steps(config.heads))
        self.decay_log = nn.Parameter(torch.empty(config.heads).uniform_(1.0, 16.0).log())
        self.skip = nn.Parameter(torch.ones(config.heads))
        self.gain = nn.Parameter(torch.ones(inner))
        self.outward = projection(inner, width, config.links)

    def output_projections(self) -> list[nn.Linear | PiecewiseProjection]:
        """The projection that writes into the residual stream."""
        return [self.outward]

    def forward(self, x: Tensor, geometry: Geometry) -> Tensor:
        """``(b, n, d) -> (b, n, d)``; padding slots neither write into the memory nor make it fade."""
        gate, inside, steps = self.inward(x).split(self.sizes, dim=-1)
        steps = F.softplus(steps + self.step_bias)
        if geometry.keep is not None:
            inside, steps = inside * geometry.keep[:, :, None], steps * geometry.keep[:, :, None]
        mixed, _ = self._mix(F.pad(inside, (0, 0, self.kernel - 1, 0)), steps, None)
        return self._out(mixed, gate)

    def new_state(self, batch: int, capacity: int) -> StateSpaceState:
        """Room for one memory a row; ``capacity`` does not matter."""
        memory = (self.heads, self.sizes[0] // self.heads, self.state)
        return StateSpaceState(batch, (self.kernel - 1, self.sizes[1]), memory, self.taps)

    def step(self, x: Tensor, geometry: Geometry, state: StateSpaceState) -> Tensor:
        """The coming ``g`` slots."""
        gate, inside, steps = self.inward(x).split(self.sizes, dim=-1)
        steps = F.softplus(steps + self.step_bias)
        joined = torch.cat([state.recent, inside], dim=1)
        state.recent.copy_(joined[:, joined.shape[1] - (self.kernel - 1) :])
        mixed, memory = self._mix(joined, steps, state.memory)
        state.memory.copy_(memory)
        state.length += x.shape[1]
        return self._out(mixed, gate)

    def _mix(self, padded: Tensor, steps: Tensor, memory: Tensor | None) -> tuple[Tensor, Tensor]:
        """Convolution and recurrence: ``(b, k - 1 + n, c)``, ``(b, n, h)`` -> ``(b, n, inner)``, memory."""
        inside = F.silu(shifted_sum(padded, self.taps) + self.taps_bias)
        x, keys, queries = inside.split([self.sizes[0], self.state, self.state], dim=-1)
        x = x.unflatten(-1, (self.heads, -1))
        decays = steps * -self.decay_log.exp()
        given = x * steps[..., None]
        if x.shape[1] == 1 and memory is not None:
            y, memory = one_step(given, decays, keys, queries, memory)
        else:
            y, memory = chunked(given, decays, keys, queries, memory)
        return (y + x * self.skip[:, None]).flatten(2), memory

    def _out(self, mixed: Tensor, gate: Tensor) -> Tensor:
        return self.outward(normalise(mixed * F.silu(gate), 1e-5) * self.gain)


def convolution_parameters(kernel: int, width: int) -> tuple[nn.Parameter, nn.Parameter]:
    """Taps ``(k, width)``, tap 0 on the slot itself, and a bias ``(width,)``, both uniform within 1 / sqrt(k)."""
    bound = kernel**-0.5
    return tuple(nn.Parameter(torch.empty(*s, width).uniform_(-bound, bound)) for s in ((kernel,), ()))  # type: ignore[return-value]


def first_steps(count: int) -> Tensor:
    """Biases ``(count,)`` whose softplus is spread over ``STEP_RANGE``."""
    low, high = (torch.tensor(bound).log() for bound in STEP_RANGE)
    steps = torch.exp(torch.rand(count) * (high - low) + low)
    return steps + torch.log(-torch.expm1(-steps))


def chunked(
    x: Tensor, decays: Tensor, keys: Tensor, queries: Tensor, memory: Tensor | None = None, chunk: int = CHUNK
) -> tuple[Tensor, Tensor]:
    """The recurrence ``h = exp(decay) h + x k^T``, ``y = h q``, by chunks.

    ``x (b, n, h, p)``, ``decays (b, n, h)`` of at most 0, ``keys``, ``queries (b, n, N)``, ``memory (b, h, p, N)`` or
    None for zeros -> ``(b, n, h, p)`` and the memory after the last slot.
    """
    b, n, h, p = x.shape
    chunk = min(chunk, n)
    short = -n % chunk
    if short:
        x, decays = F.pad(x, (0, 0, 0, 0, 0, short)), F.pad(decays, (0, 0, 0, short))
        keys, queries = F.pad(keys, (0, 0, 0, short)), F.pad(queries, (0, 0, 0, short))
    x, decays, keys, queries = (t.unflatten(1, (-1, chunk)) for t in (x, decays, keys, queries))
    total = decays.cumsum(2).movedim(3, 2)  # (b, c, h, q): the logarithm of what is left since the chunk's beginning
    future = torch.ones(chunk, chunk, dtype=torch.bool, device=x.device).triu(1)
    left = (total[..., :, None] - total[..., None, :]).masked_fill(future, float("-inf")).exp()
    scores = (queries @ keys.mT)[:, :, None] * left
    values = x.movedim(3, 2)  # (b, c, h, q, p)
    y = scores @ values
    # What each chunk adds to the memory, faded to the chunk's end.
    added = (values * (total[..., -1:] - total).exp()[..., None]).mT @ keys[:, :, None]
    fade = total[..., -1].exp()[..., None, None]
    held = [x.new_zeros(b, h, p, keys.shape[-1]) if memory is None else memory]
    for fading, adding in zip(fade.unbind(1), added.unbind(1), strict=True):
        held.append(torch.addcmul(adding, fading, held[-1]))
    before = torch.stack(held[:-1], dim=1)
    y = y + (queries[:, :, None] @ before.mT) * total.exp()[..., None]
    return y.movedim(2, 3).flatten(1, 2)[:, :n], held[-1]


def one_step(x: Tensor, decays: Tensor, keys: Tensor, queries: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
    """``chunked`` for one slot, n = 1."""
    memory = memory * decays[:, 0, :, None, None].exp() + x[:, 0, :, :, None] * keys[:, :, None]
    return (memory @ queries[:, 0, None, :, None]).squeeze(-1)[:, None], memory


def reference(x: Tensor, decays: Tensor, keys: Tensor, queries: Tensor) -> Tensor:
    """The definition, slot by slot, from an empty memory; shapes as ``chunked``, its first result."""
    memory = x.new_zeros(x.shape[0], x.shape[2], x.shape[3], keys.shape[-1])
    found = []
    for t in range(x.shape[1]):
        memory = decays[:, t, :, None, None].exp() * memory + x[:, t, :, :, None] * keys[:, t, None, None, :]
        found.append((memory * queries[:, t, None, None, :]).sum(-1))
    return torch.stack(found, dim=1)
