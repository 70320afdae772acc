"""Controls of axes: is it what the tags say, or only that there are tags?

Beside an experiment with axes stand: the same without any (``none``); and for each axis the same with a checksum of the
word in its place (as many tags, known as early, meaning nothing) and with tags drawn for the place. An axis earns its
gain over ``none`` only as far as its checksum has not: a gain that is no larger tells which letters there are, and
is leakage where letters to come are among them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from semagram.experiment import Experiment
from semagram.layouts import Axis, Sequence, Streams
from semagram.text.labels import Checksum, Noise

NONE, CHECKSUM, NOISE = "none", "checksum", "noise"


def controls(experiment: Experiment) -> dict[str, Experiment]:
    """By name: ``none``, and ``AXIS~checksum`` and ``AXIS~noise`` of every axis; nothing without axes."""
    layout = experiment.layout
    if not isinstance(layout, Streams) or not layout.tags:
        return {}
    cells = layout.length  # as much text in a canvas, whatever stands between its letters
    plain = experiment.name.removesuffix("-oracle")
    found = {NONE: replace(experiment, name=f"{plain}~{NONE}", layout=Sequence(cells))}
    for k, axis in enumerate(layout.tags):
        if isinstance(axis.labeller, Checksum | Noise):
            continue
        for word, labeller in ((CHECKSUM, checksum_of(axis)), (NOISE, Noise(of=_of(axis)))):
            changed = replace(axis, labeller=labeller)
            tags = (*layout.tags[:k], changed, *layout.tags[k + 1 :])
            name = f"{axis.name}~{word}"
            found[name] = replace(experiment, name=f"{plain}~{name}", layout=replace(layout, tags=tags))
    return found


def _of(axis: Axis) -> Any:
    """The labeller whose number of tags, and moment, a control takes over."""
    return axis.reading if axis.shown else axis.labeller


def checksum_of(axis: Axis) -> Checksum:
    """The checksum labeller of an axis: of equal cardinality and alignment."""
    return Checksum(of=_of(axis))


def verdicts(bits: Mapping[str, float], axes: tuple[str, ...]) -> dict[str, str]:
    """By axis, in a few words; ``bits``: of the experiment (under ""), and of its controls by name."""
    if NONE not in bits or "" not in bits:
        return {}
    found, gain = {}, bits[NONE] - bits[""]
    for axis in axes:
        control = bits.get(f"{axis}~{CHECKSUM}")
        if control is None:
            continue
        meaningless = bits[NONE] - control
        told = f"gain {gain:+.4f} bits/char, with its checksum {meaningless:+.4f}"
        if gain <= 0:
            found[axis] = f"no gain ({told})"
        elif meaningless >= gain:
            found[axis] = f"leakage: a meaningless checksum gains no less ({told})"
        else:
            found[axis] = f"{100 * (1 - max(meaningless, 0.0) / gain):.0f} % of the gain is not the checksum's ({told})"
    return found
