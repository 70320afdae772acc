"""What a network costs: parameters and floating-point operations of one forward pass, part by part.

Operations are counted while a canvas is read: two for every weight of a linear map and every position that it reads,
and those of attention's two products over the pairs that are looked at (causal: half of all). Norms, activations and
other elementwise work are left out, as is usual. A step of training costs about three times as much. Compared in tests
with torch's own counter of operations.

``summary(network, layout)`` tells levels and stages apart, so that models can be matched at equal budgets.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from semagram.layouts import Layout, Visibility
from semagram.layouts.geometry import Geometry
from semagram.mixers.attention import AttentionMixer
from semagram.mixers.attention_parts.reach import Window
from semagram.mixers.phased import PhasedAttention


@dataclass(frozen=True)
class Cost:
    """Of one part of a network."""

    part: str
    """embedding, level 0, level 1 ..., stage 0 ..., core, merge, head, rest."""
    parameters: int
    """Trained numbers."""
    flops: int
    """Floating-point operations of a forward pass over one canvas."""


@dataclass(frozen=True)
class Summary:
    """Of a whole network; ``str`` is a table."""

    parts: tuple[Cost, ...]
    """In the order of the network."""
    tokens: int
    """Of the canvas that was read."""

    @property
    def parameters(self) -> int:
        """Trained numbers of all parts."""
        return sum(part.parameters for part in self.parts)

    @property
    def flops(self) -> int:
        """Operations of a forward pass over one canvas."""
        return sum(part.flops for part in self.parts)

    def __str__(self) -> str:
        rows = [(cost.part, cost.parameters, cost.flops) for cost in self.parts]
        rows.append(("all", self.parameters, self.flops))
        lines = [f"{'part':<12} {'parameters':>12} {'MFLOP':>12} {'a token':>12}"]
        for name, count, flops in rows:
            lines.append(f"{name:<12} {count:>12,} {flops / 1e6:>12,.1f} {flops / self.tokens:>12,.0f}")
        return "\n".join(lines)


def summary(network: nn.Module, layout: Layout, inputs: Tensor | None = None) -> Summary:
    """The costs of reading one canvas of ``layout``; the network is left as it was.

    ``inputs (b, n)``: what is read, as in training (where boundaries depend on the text, so do the costs); the mean of
    the rows. None: token 0 everywhere, as in evaluation.
    """
    names = {id(module): name for name, module in network.named_modules()}
    flops: dict[str, int] = {}

    def count(module: nn.Module, args: tuple[Any, ...], out: Any) -> None:
        part = part_of(names[id(module)])
        flops[part] = flops.get(part, 0) + operations(module, args, out)

    visibility: Visibility = network.visibility  # type: ignore[assignment]
    device = next(network.parameters()).device
    hooks = [module.register_forward_hook(count) for module in network.modules() if counted(module)]
    was_training = network.training
    try:
        with torch.no_grad():
            network.train(inputs is not None)
            read = torch.zeros(1, layout.count, dtype=torch.int64) if inputs is None else inputs
            network(read.to(device), Geometry.of(layout.positions(), visibility).to(device))
        if (carried := getattr(network, "auxiliary_losses", None)) is not None:
            carried()  # those of this pass are nobody's
    finally:
        network.train(was_training)
        for hook in hooks:
            hook.remove()
    parameters: dict[str, int] = {}
    for name, parameter in network.named_parameters():
        part = part_of(name)
        parameters[part] = parameters.get(part, 0) + parameter.numel()
    order = [*parameters, *(part for part in flops if part not in parameters)]
    rows = 1 if inputs is None else len(inputs)
    costs = (Cost(part, parameters.get(part, 0), flops.get(part, 0) // rows) for part in sorted(order, key=_place))
    return Summary(tuple(costs), layout.count)


def counted(module: nn.Module) -> bool:
    """Modules whose operations are counted where they are called."""
    return isinstance(module, (nn.Linear, AttentionMixer, PhasedAttention)) or hasattr(module, "flops")


def operations(module: nn.Module, args: tuple[Any, ...], out: Any) -> int:
    """Operations of one call beside those of the modules inside it."""
    if isinstance(module, nn.Linear):
        return 2 * module.weight.numel() * (args[0].numel() // module.in_features)
    if isinstance(module, AttentionMixer):
        batch, n = args[0].shape[:2]
        pairs = n * (n + 1) // 2 if args[1].causal else n * n
        reach = module.open.reach
        if isinstance(reach, Window):
            behind = looks(n, reach.size - 1, reach.dilation)
            pairs = behind if args[1].causal else 2 * behind - n
        return 4 * batch * pairs * module.heads * module.head_width
    if isinstance(module, PhasedAttention):
        batch, n = args[0].shape[:2]
        window, phases = args[2], args[3] if len(args) > 3 else 1
        return 4 * batch * looks(n, window, phases) * module.heads * module.head_width
    return module.flops(args)  # type: ignore[operator]


def looks(n: int, window: int | None, phases: int) -> int:
    """Pairs of elements that see each other."""
    total = 0
    for phase in range(min(phases, n)):
        own = -(-(n - phase) // phases)
        near = own if window is None else min(window + 1, own)
        total += near * (near + 1) // 2 + (own - near) * near
    return total


def part_of(name: str) -> str:
    """The part of a network that a module or parameter of this name belongs to."""
    words = name.split(".")
    if words[0] == "layers" and len(words) > 2:
        return f"level {words[2]}"
    if words[0] in ("compress", "made_norms") and len(words) > 1:
        number = words[2] if words[1] == "parts" else words[1] if words[0] == "made_norms" else None
        return "compress" if number is None else f"level {number}"
    if words[0] == "stage":
        depth = 0
        while depth + 1 < len(words) and words[depth + 1] == "inner":
            depth += 1
        return "core" if words[depth + 1] == "blocks" else f"stage {depth}"
    if words[0] in ("blocks", "stack"):
        return "blocks"
    if words[0] == "merges":
        return "merge"
    if words[0] in ("head", "embedding", "losses"):
        return words[0]
    return "rest"


def _place(part: str) -> tuple[int, str]:
    order = ("embedding", "compress", "blocks", "level", "stage", "core", "merge", "head", "losses", "rest")
    return order.index(part.split()[0]), part
