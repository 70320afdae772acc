"""A block: a mixer slot, an optional cross-attention slot and a feedforward slot, each a residual branch.

    x = x + mixer(norm(x)),   x = x + cross(norm(x), context),   x = x + feedforward(norm(x))

in the plain form; ``residual.py`` has the others. Attention Is All You Need (arXiv 1706.03762). The plain form is
written out, so that nothing stands between it and torch; all forms step as they run, since only the mixer and the
cross-attention look beyond a position.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from torch import Tensor, nn

from semagram.feedforward import Norm
from semagram.feedforward.conditioned import Conditioned, applied
from semagram.feedforward.mlp import MLPLayer
from semagram.layouts.geometry import Geometry
from semagram.mixers.attention import AttentionMixer
from semagram.mixers.single import Single
from semagram.models.layers import Plan
from semagram.models.residual import Residual, Way

OneSlot = Callable[[Tensor], Tensor]
"""``(b, d) -> (b, d)``."""


class Cross(Protocol):
    """The config of a cross-attention: what ``Stack(..., cross=...)`` takes.

    ``build(width)`` gives a module that is called as ``cross(x (b, n, d), context) -> (b, n, d)``, has
    ``output_projections()``, and for stepping ``new_state(context)`` and ``step(x (b, g, d), state) -> (b, g, d)``.
    What a context is (a tensor, a tensor with padding) is the cross-attention's own affair.
    """

    def build(self, width: int) -> nn.Module:
        """The module for model width d."""
        ...


class Block(nn.Module):
    """Its parts and their order; ``(b, n, d) -> (b, n, d)``, or whatever the join makes of a stream."""

    mixer: Any
    mixer_norm: Any
    mixer_way: Any
    cross: Any
    cross_norm: Any
    cross_way: Any
    feedforward: Any
    feedforward_norm: Any
    feedforward_way: Any

    def __init__(
        self,
        width: int,
        plan: Plan,
        norm: Norm,
        residual: Residual,
        dropout: float,
        cross: Cross | None = None,
        index: int = 0,
        total: int = 2,
        again: bool = False,
    ) -> None:
        """``index`` is that of its first branch among the ``total`` of the stack; ``again``: it will be given the
        stack's input beside the stream."""
        super().__init__()
        configs = {"mixer": plan.mixer, "cross": cross, "feedforward": plan.feedforward}
        self.slots = [slot for slot, config in configs.items() if config is not None]
        self.parallel = residual.parallel != "no" and {"mixer", "feedforward"} <= set(self.slots)
        for slot, config in configs.items():
            shared = self.parallel and slot == "feedforward" and residual.parallel == "shared_norm"
            normed = config is not None and residual.norm_before and not shared
            self.add_module(f"{slot}_norm", norm.build(width) if normed else None)
            self.add_module(slot, None if config is None else config.build(width))
        self.dropout = nn.Dropout(dropout)
        conditioned = any(isinstance(m, Conditioned) for m in self.modules())
        whole = self.slots == ["mixer", "feedforward"]
        self.plain = residual == Residual() and whole and plan.share == 1.0 and not conditioned and not again
        """Whether it is the pre-norm pair that is written out below."""
        if not self.plain:
            for branch, slot in enumerate(self.slots):
                joins = not (self.parallel and slot == "mixer")
                way = Way(residual, width, norm, dropout, plan.share, index + branch, total, joins)
                self.add_module(f"{slot}_way", way)

    def branches(self) -> list[nn.Module]:
        """The parts that write into the residual stream."""
        return [self.get_submodule(slot) for slot in self.slots]

    def forward(
        self,
        x: Any,
        geometry: Geometry,
        context: Any = None,
        condition: Tensor | None = None,
        again: Tensor | None = None,
    ) -> Any:
        """All slots at once; ``context`` is what the cross-attention looks at, ``again`` what is added to the input of
        every branch."""
        if self.plain:
            x = x + self.dropout(self.mixer(self.mixer_norm(x), geometry))
            return x + self.dropout(self.feedforward(self.feedforward_norm(x)))
        return self._run(x, self.calls(geometry, context), condition, again)

    def calls(self, geometry: Geometry, context: Any) -> dict[str, OneSlot]:
        """Each slot's part as a function of its normalised input."""
        return {
            "mixer": lambda y: self.mixer(y, geometry),
            "cross": lambda y: self.cross(y, context),
            "feedforward": self.feedforward,
        }

    def new_states(self, batch: int, geometry: Geometry, context: Any) -> tuple[Any, Any]:
        """Of its mixer and of its cross-attention; None for a slot that it has not."""
        mixer = self.mixer.new_state(batch, geometry.count) if "mixer" in self.slots else None
        return mixer, self.cross.new_state(context) if "cross" in self.slots else None

    def step(
        self,
        x: Any,
        geometry: Geometry,
        states: tuple[Any, Any],
        condition: Tensor | None = None,
        again: Tensor | None = None,
    ) -> Any:
        """The coming slots, ``(b, g, d) -> (b, g, d)``; the states are those of ``new_states``."""
        mixer_state, cross_state = states
        if self.plain:
            x = x + self.mixer.step(self.mixer_norm(x), geometry, mixer_state)
            return x + self.feedforward(self.feedforward_norm(x))
        calls: dict[str, OneSlot] = {
            "mixer": lambda y: self.mixer.step(y, geometry, mixer_state),
            "cross": lambda y: self.cross.step(y, cross_state),
            "feedforward": self.feedforward,
        }
        return self._run(x, calls, condition, again)

    def _run(self, h: Any, calls: dict[str, OneSlot], condition: Tensor | None, again: Tensor | None) -> Any:
        """Any residual form, on all slots or on the coming ones."""
        if self.parallel:
            return self._side_by_side(h, calls, condition, again)
        for slot in self.slots:
            way: Way = getattr(self, f"{slot}_way")
            x, carry = way.read(h)
            h = way.write(carry, self.branch(slot, calls, x, condition, again), condition)
        return h

    def branch(
        self, slot: str, calls: dict[str, OneSlot], x: Tensor, condition: Tensor | None, again: Tensor | None
    ) -> Tensor:
        """What the part in a slot adds to the stream, having read ``x``."""
        x = x if again is None else x + again
        return getattr(self, f"{slot}_way").shaped(calls[slot](self._normed(slot, x, condition)), condition)

    def _side_by_side(self, h: Any, calls: dict[str, OneSlot], condition: Tensor | None, again: Tensor | None) -> Any:
        """Mixer and feedforward read one stream and are added together."""
        way: Way = self.feedforward_way
        x, carry = way.read(h)
        x = x if again is None else x + again
        seen = self._normed("mixer", x, condition)
        shared = self.mixer_norm is not None and self.feedforward_norm is None
        own = seen if shared else self._normed("feedforward", x, condition)
        mixed = self.mixer_way.shaped(calls["mixer"](seen), condition)
        return way.write(carry, mixed + way.shaped(self.feedforward(own), condition), condition)

    def _normed(self, slot: str, x: Tensor, condition: Tensor | None) -> Tensor:
        norm = getattr(self, f"{slot}_norm")
        return x if norm is None else applied(norm, x, condition)

    def single(self, state: Any, geometry: Geometry) -> tuple[OneSlot, OneSlot]:
        """Both halves of ``step`` for one slot a row, ``(b, d) -> (b, d)``, with nothing between them and torch.

        Of plain blocks only.
        """
        mixer, feedforward = self.mixer, self.feedforward
        mixer_norm, feedforward_norm = self.mixer_norm.forward, self.feedforward_norm.forward
        mix: Single = lambda x, residual: (  # noqa: E731
            residual + mixer.step(x[:, None], geometry.narrow(state.length, 1), state)[:, 0]
        )
        feed: Single = lambda x, residual: residual + feedforward(x)  # noqa: E731
        if isinstance(mixer, AttentionMixer):
            mix = mixer.single(state, geometry)
        if isinstance(feedforward, MLPLayer):
            feed = feedforward.single()
        return lambda x: mix(mixer_norm(x), x), lambda x: feed(feedforward_norm(x), x)
