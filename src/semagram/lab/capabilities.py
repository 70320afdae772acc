"""What each part can do, asked of the parts themselves: ``python -m semagram.lab.capabilities`` prints the tables.

Nothing here is a list of claims. Visibilities are what ``config.visibilities()`` says, by which models refuse; the
kernel is ``config.kernel()``; whether something is refused is found out by building it; what a state holds is counted;
whether padding moves an answer is tried on a network with its weights moved. ``docs/capabilities.md`` is this output,
and a test holds it to that, and to what really happens.
"""

from __future__ import annotations

import typing
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn

from semagram.config import members
from semagram.errors import UserError
from semagram.feedforward import Feedforward, Norm
from semagram.layouts import Grid, Sequence, Visibility
from semagram.layouts.geometry import Geometry
from semagram.mixers import Attention, CrossAttention, Mixer
from semagram.mixers.contract import reads_pairs
from semagram.models import Blocks, Model, Transformer
from semagram.models.residual import Residual

WIDTH, LENGTH, VOCABULARY = 16, 12, 7
TEXTS = (160, 320)
"""Two lengths, either longer than any window: is as much remembered of both?"""
YES, NO = "yes", "no"


@dataclass(frozen=True)
class Row:
    """One part and what was found out about it; the fields are the columns."""

    part: str
    visibility: str
    """CAUSAL, FULL: as declared, and as built."""
    state: str
    """What stepping remembers: nothing (refused), so much whatever the length, or more with every slot."""
    padding: str
    """Whether what stands in padding is kept from moving an answer."""
    pairs: str
    """Whether documents in one row and prefixes are heeded; else they are refused."""
    cross: str
    """Whether its block may have a cross-attention."""
    registers: str
    """Whether there may be registers before it."""
    kernel: str
    """Which way attention goes."""


def mixers() -> list[tuple[str, Any]]:
    """Every mixer, and ``Attention`` with every part of its own: label and config."""
    found = [(kind.__name__, kind()) for kind in members(Mixer)]
    return found + [(f"Attention({label})", config) for label, config in options(Attention())]


def options(config: Any) -> list[tuple[str, Any]]:
    """Each flag of ``config`` turned and each place for a part filled with each part that is not there."""
    hints, found = typing.get_type_hints(type(config)), []
    for field in fields(config):
        now, hint = getattr(config, field.name), hints[field.name]
        values: list[Any] = [kind() for kind in members(hint) if kind is not type(now)]
        if hint is bool:
            values = [not now]
        if typing.get_origin(hint) is Literal:
            values = [word for word in typing.get_args(hint) if word != now]
        for value in values:
            told = value if isinstance(value, (bool, str)) else f"{type(value).__name__}()"
            found.append((f"{field.name}={told}", replace(config, **{field.name: value})))
    return found


def asked(label: str, model: Any, stateful: bool) -> Row:
    """Everything that is to be known of a model, or of a part in one; of parts without a state all but that."""
    declared = sorted(v.name for v in model.visibilities())
    mixer = getattr(model, "mixer", None)
    return Row(
        label,
        ", ".join(declared) or "none",
        memory(model) if stateful else "-",
        padding(model),
        "-" if mixer is None else (YES if reads_pairs(mixer) else "refused"),
        "-" if mixer is None else builds(lambda: model.blocks().build(CrossAttention())),
        "-" if mixer is None else builds(lambda: Blocks(model.width, model.depth, mixer, registers=2)),
        "-" if mixer is None or not stateful else kernel(mixer),
    )


def kernel(mixer: Any) -> str:
    """The way of attention and what keeps it from the fused kernel; nothing where there is no choice."""
    if not callable(getattr(mixer, "kernel", None)):
        return "-"
    told = mixer.kernel()
    return told.name + (f": {told.reasons[0].split(':')[0]}" if told.reasons else "")


def builds(make: Any) -> str:
    """Yes, or refused."""
    try:
        make()
    except UserError:
        return "refused"
    return YES


def moved(model: Any, layout: Any, visibility: Visibility) -> Any:
    """The network with no weight left at zero."""
    torch.manual_seed(0)
    network = model.build(VOCABULARY, layout, visibility).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return network


def layout_of(visibility: Visibility) -> Any:
    """A line; a page where all is visible, since some parts want one."""
    return Sequence(LENGTH) if visibility is Visibility.CAUSAL else Grid(3, LENGTH // 3)


def memory(model: Any) -> str:
    """How much a state holds: counted for two lengths."""
    if Visibility.CAUSAL not in model.visibilities():
        return "none: refused"
    network, sizes = moved(model, Sequence(LENGTH), Visibility.CAUSAL), []
    for count in TEXTS:
        geometry = Geometry.line(count, Visibility.CAUSAL)
        state = network.new_state(1, geometry)
        if condition_of(network) is None:
            state = filled(network, state, count)
        sizes.append(held(state, {id(geometry)}))
    return "bounded" if sizes[0] == sizes[1] else "grows"


def filled(network: Any, state: Any, count: int) -> Any:
    """The state after a whole text, read in four pieces."""
    with torch.no_grad():
        for _ in range(4):
            network.step(torch.zeros(1, count // 4, dtype=torch.long), state)
    return state


def held(value: Any, seen: set[int]) -> int:
    """Numbers in all tensors that ``value`` holds, weights and geometries apart."""
    if id(value) in seen or isinstance(value, (nn.Module, Geometry)):
        return 0
    seen.add(id(value))
    if isinstance(value, Tensor):
        return value.numel() * (value.dtype.is_floating_point)
    if isinstance(value, dict):
        return sum(held(v, seen) for v in value.values())
    if isinstance(value, (list, tuple)):
        return sum(held(v, seen) for v in value)
    return sum(held(v, seen) for v in vars(value).values()) if hasattr(value, "__dict__") else 0


def condition_of(network: Any) -> Tensor | None:
    """A condition, for networks that want one."""
    wanted = getattr(network, "condition_width", None)
    return None if wanted is None else torch.ones(2, wanted)


def padding(model: Any) -> str:
    """Try it: another id in the padding, and the same bits elsewhere."""
    for visibility in sorted(model.visibilities() - {Visibility.OTHERS}, key=lambda v: v.name):
        layout = layout_of(visibility)
        network = moved(model, layout, visibility)
        whole = Geometry.of(layout.positions(), visibility)
        keep = torch.ones(2, LENGTH, dtype=torch.bool)
        keep[0, -3:] = keep[1, :2] = False
        geometry = Geometry(whole.coords, whole.order, visibility, keep)
        ids = torch.randint(0, VOCABULARY, (2, LENGTH), generator=torch.Generator().manual_seed(1))
        condition = condition_of(network)
        more = () if condition is None else (condition,)
        with torch.no_grad():
            told = [network(i, geometry, *more)[keep] for i in (ids, torch.where(keep, ids, (ids + 1) % VOCABULARY))]
        if not torch.equal(*told):
            return NO
    return YES


def tables() -> dict[str, list[Row]]:
    """All rows, by kind of part."""
    host = Transformer(width=WIDTH, depth=2)
    found: dict[str, list[tuple[str, Any]]] = {
        "Mixers": [(label, replace(host, mixer=mixer)) for label, mixer in mixers()],
        "Feedforwards": [(kind.__name__, replace(host, feedforward=kind())) for kind in members(Feedforward)],
        "Norms": [(kind.__name__, replace(host, norm=kind())) for kind in members(Norm)],
        "Residual forms": [(label, replace(host, residual=form)) for label, form in residuals()],
        "Models": [(kind.__name__, kind()) for kind in members(Model)],
    }
    return {name: [asked(*part, name in ("Mixers", "Models")) for part in parts] for name, parts in found.items()}


def residuals() -> list[tuple[str, Residual]]:
    """Every join, scale, place of norms and way of standing side by side."""
    wanted = ("join", "scale", "norms", "parallel")
    return [("Residual()", Residual()), *(told for told in options(Residual()) if told[0].startswith(wanted))]


def page() -> str:
    """``docs/capabilities.md``."""
    lines = [HEAD]
    for name, rows in tables().items():
        columns = [f.name for f in fields(Row) if any(getattr(row, f.name) != "-" for row in rows)]
        lines += [f"## {name}\n", f"| {' | '.join(columns)} |", "|" + "---|" * len(columns)]
        lines += [f"| {' | '.join(str(getattr(row, c)) for c in columns)} |" for row in rows]
        lines.append("")
    return "\n".join(lines)


HEAD = """# What each part can do

Written by `python -m semagram.lab.capabilities`, which asks the parts: what they declare (and are refused by), what is
refused when it is built, what a state holds after a text of 160 and of 320 slots, and whether another id in padding
moves a bit. Parts stand in a `Transformer` with everything else at its default. A test holds this page to its source.

- **visibility**: under which an output depends on no more than allowed; any other is refused.
- **state**: a CAUSAL network steps with a state that is *bounded* (so much whatever the length) or *grows*.
- **padding**: yes: what stands in padding moves no bit of what does not.
- **pairs**: documents packed in one row (`semagram.layouts.documents`), graphs, prefixes; refused where not heeded.
- **cross**, **registers**: whether a block may look at a context, and whether registers may stand before the text.
- **kernel**: see [attention](attention.md); what stands behind the colon keeps it from the plain fused kernel.

Every kind of part is traced by `torch.compile` in one graph (law 7); `benchmarks/compiled.py --all` tries every option.
"""


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(page(), end="")
