"""Laws 1, 2 and 4 on every pair of options of attention and of a transformer's blocks; and which pairs are refused."""

from __future__ import annotations

from dataclasses import fields

import pytest
import torch

from laws import company, no_peeking, pairs, stepping
from laws.cases import Case
from semagram.layouts import Grid, Sequence, Visibility
from semagram.mixers import Attention

REFUSED = {
    "attention": {
        "gains both with sharpness None",
        "reach Window with selective True",
        "sink LearnedSink with weights Sigmoid",
        "sink Memory with weights Sigmoid",
        "sink ZeroSink with weights Sigmoid",
    },
    "blocks": {
        "drop 0.3 with join Reversible",
        "feedforward Experts with join Reversible",
        "join DepthAttention with norms after",
        "join DepthAttention with norms both",
        "join DepthAttention with skips UNetSkips",
        "join HyperConnections with norms after",
        "join HyperConnections with norms both",
        "join HyperConnections with skips UNetSkips",
        "join Reversible with mixer Attention (near by, sharing values)",
        "join Reversible with norms after",
        "join Reversible with norms both",
        "join Reversible with parallel own_norms",
        "join Reversible with skips Reinjection",
        "join Reversible with skips UNetSkips",
        "mixer Attention (near by, sharing values) with registers 2",
        "mixer Convolution with registers 2",
        "mixer Parallel with registers 2",
        "mixer Segments with registers 2",
        "mixer StateSpace with registers 2",
        "norms after with parallel own_norms",
        "norms both with parallel own_norms",
    },
}
"""Pairs that may not stand together, written out: a wrong refusal fails as loudly as a wrong permission."""


def told(value: object) -> str:
    if isinstance(value, (bool, int, float, str, type(None))):
        return str(value)
    near = isinstance(value, Attention) and value.value_residual is not None
    return type(value).__name__ + (" (near by, sharing values)" if near else "")


@pytest.mark.parametrize("kind", pairs.KINDS)
def test_these_pairs_are_refused_and_no_others(kind: str) -> None:
    places = pairs.KINDS[kind][0]
    found = {
        " with ".join(sorted(f"{name} {told(places[name][index])}" for name, index in two))
        for two in pairs.refused(kind)
    }
    assert found == REFUSED[kind]


def test_no_place_of_attention_is_forgotten() -> None:
    assert {f.name for f in fields(Attention)} - set(pairs.ATTENTION) == {
        "heads", "head_width", "scale", "output_bias", "dropout",
    }  # fmt: skip


@pytest.mark.parametrize("kind", pairs.KINDS)
def test_every_pair_of_options_keeps_the_laws(kind: str, count) -> None:
    models, total = pairs.covering_of(kind)
    for index, model in enumerate(models):
        layouts = (Sequence(7), Grid(2, 4, "snake"))
        for visibility in sorted(model.visibilities(), key=lambda v: v.name):
            # Learned places and the like know nothing of layouts; the two take turns.
            case = Case(model, layouts[index % 2], visibility, 5)
            network = case.network()
            try:
                no_peeking.check(network, case)
                company.check(network, case)
                if visibility is Visibility.CAUSAL:
                    stepping.check(network, case)
                with torch.no_grad():
                    assert bool(network(case.inputs(), case.geometry()).isfinite().all())
            except AssertionError as error:
                error.add_note(f"in {case}")
                raise
        count(f"configurations of {kind} in which every pair of options stands together")
    count(f"pairs of options of {kind} under laws 1, 2 and 4", total)
