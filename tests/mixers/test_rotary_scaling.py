"""Rotary scalings beside Hugging Face's initialisers, and what is special about each."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from semagram.errors import UserError
from semagram.layouts import Sequence, Visibility
from semagram.layouts.geometry import Geometry
from semagram.mixers import Attention, Interpolation, Llama3, NTKAware, Rotary, YaRN
from semagram.mixers.rotary import rotary_tables, rotate, rotate_first
from semagram.mixers.rotary_scaling import plain_frequencies

WIDTH, BASE = 64, 10_000.0


def theirs(kind: str, **told: Any) -> tuple[torch.Tensor, float]:
    """Hugging Face's frequencies and amplitude."""
    transformers = pytest.importorskip("transformers")
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

    config = transformers.LlamaConfig(
        hidden_size=WIDTH * 2, num_attention_heads=2, head_dim=WIDTH, max_position_embeddings=4096,
        rope_parameters={"rope_type": kind, "rope_theta": BASE, **told},
    )  # fmt: skip
    return ROPE_INIT_FUNCTIONS[kind](config, torch.device("cpu"))


CASES: list[tuple[Any, str, dict[str, Any]]] = [
    (Interpolation(4.0), "linear", {"factor": 4.0}),
    (YaRN(4.0, 1024), "yarn", {"factor": 4.0, "original_max_position_embeddings": 1024}),
    (
        YaRN(16.0, 512, fast=24.0, slow=2.0, gain=1.25),
        "yarn",
        {
            "factor": 16.0,
            "original_max_position_embeddings": 512,
            "beta_fast": 24.0,
            "beta_slow": 2.0,
            "attention_factor": 1.25,
        },
    ),
    (
        Llama3(8.0, 1024, fast=4.0, slow=1.0),
        "llama3",
        {
            "factor": 8.0,
            "original_max_position_embeddings": 1024,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
        },
    ),
]


@pytest.mark.parametrize(("ours", "kind", "told"), CASES, ids=[c[1] for c in CASES])
def test_frequencies_and_amplitude(ours: Any, kind: str, told: dict[str, Any]) -> None:
    frequencies, amplitude = theirs(kind, **told)
    assert torch.allclose(ours.frequencies(BASE, WIDTH // 2).float(), frequencies, rtol=2e-6, atol=0)
    assert ours.amplitude() == pytest.approx(amplitude)
    assert not torch.allclose(plain_frequencies(BASE, WIDTH // 2).float(), frequencies, rtol=1e-2)


def test_ntk_keeps_the_fastest_plane_and_slows_the_slowest_by_the_factor() -> None:
    plain, slowed = plain_frequencies(BASE, 32), NTKAware(8.0).frequencies(BASE, 32)
    assert slowed[0] == plain[0] and float(plain[-1] / slowed[-1]) == pytest.approx(8.0)
    assert (slowed <= plain).all()


def test_the_amplitude_reaches_the_scores() -> None:
    """Queries and keys both grow, so a score grows by its square."""
    coords = Sequence(5).positions().coords
    q, k = torch.randn(2, 5, WIDTH)
    scaling = YaRN(4.0, 1024)
    with_gain = rotary_tables(coords, WIDTH, BASE, scaling)
    without = rotary_tables(coords, WIDTH, BASE, YaRN(4.0, 1024, gain=1.0))
    scores = [rotate(q, *t) @ rotate(k, *t).t() for t in (with_gain, without)]
    assert torch.allclose(scores[0], scores[1] * scaling.amplitude() ** 2, atol=1e-4)


@pytest.mark.parametrize("name", ["fast", "slow", "trained_length", "factor"])
@pytest.mark.parametrize("kind", [YaRN, Llama3])
def test_every_field_acts(kind: Any, name: str) -> None:
    base = kind()
    changed = kind(**{name: type(getattr(base, name))(getattr(base, name) * 1.5)})
    assert not torch.equal(base.frequencies(BASE, 32), changed.frequencies(BASE, 32))


@pytest.mark.parametrize("fraction", [0.25, 0.5, 0.8])
def test_a_fraction_turns_the_first_features_and_leaves_the_rest(fraction: float) -> None:
    turned = Rotary(fraction=fraction).turned(20)
    assert turned == int(20 * fraction) // 2 * 2
    x = torch.randn(3, 20)
    out = rotate_first(x, *rotary_tables(torch.arange(3)[:, None], turned, BASE))
    assert torch.equal(out[:, turned:], x[:, turned:]) and not torch.equal(out[1:, :turned], x[1:, :turned])


def test_a_fraction_that_leaves_nothing_is_refused() -> None:
    with pytest.raises(UserError, match=r"fraction 0.1 of head width 4 leaves no plane"):
        Attention(heads=4, positions=Rotary(fraction=0.1)).build(16)


def test_a_decay_too_short_for_the_canvas_is_refused() -> None:
    """Lengths are powers of 2/7: too many of them are no longer numbers."""
    mixer = Attention(heads=4, positions=Rotary(decay=0.5)).build(16)
    x = torch.randn(1, 27, 16)
    assert mixer(x, Geometry.of(Sequence(27).positions(), Visibility.CAUSAL)).isfinite().all()
    with pytest.raises(UserError, match=r"decay 0.5 is too short for 40 slots.*at least 0.7"):
        mixer(torch.randn(1, 40, 16), Geometry.of(Sequence(40).positions(), Visibility.CAUSAL))
