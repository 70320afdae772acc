"""Dropout of weights: in training only, on every way to the kernel, with the right mean and the right share."""

from __future__ import annotations

import pytest
import torch

from laws.stepping import close
from semagram.errors import UserError
from semagram.feedforward import MLP, Gated
from semagram.layouts import Visibility
from semagram.layouts.geometry import Geometry
from semagram.mixers import ALiBi, Attention, LearnedSink, TalkingHeads, Window, ZeroSink
from semagram.models import Transformer
from semagram.models.joins import Reversible
from semagram.models.residual import Residual

WAYS = [{}, {"bias": ALiBi()}, {"reach": Window(2)}, {"sink": ZeroSink()}, {"talking": TalkingHeads()}]


@pytest.mark.parametrize("parts", WAYS, ids=str)
def test_it_keeps_the_mean_and_drops_its_share(parts: dict[str, object]) -> None:
    torch.manual_seed(0)
    plain = Attention(2, **parts).build(8)  # type: ignore[arg-type]
    dropping = Attention(2, dropout=0.25, **parts).build(8)  # type: ignore[arg-type]
    dropping.load_state_dict(plain.state_dict())
    line, x = Geometry.line(5, Visibility.CAUSAL), torch.randn(1, 5, 8)
    with torch.no_grad():
        assert torch.equal(dropping.eval()(x, line), plain.eval()(x, line))
        many = x.expand(4000, -1, -1)
        told = dropping.train()(many, line)
        assert close(told.mean(dim=0), plain(x, line)[0], 0.05)
    if not parts:  # the first slot has one weight: it is there or not, head by head
        gone = (told[:, 0].abs() < 1e-7).all(dim=1).float().mean()
        assert abs(float(gone) - 0.25**2) < 0.02


@pytest.mark.parametrize("config", [MLP(dropout=0.25), Gated(dropout=0.25)], ids=lambda c: type(c).__name__)
def test_of_hidden_features_too(config: MLP | Gated) -> None:
    torch.manual_seed(0)
    layer, x = config.build(8), torch.randn(8)
    with torch.no_grad():
        kept = layer.eval()(x)
        told = layer.train()(x.expand(4000, 8))
    assert close(told.mean(dim=0), kept, 0.05) and float(told.std(dim=0).min()) > 0.01


def test_what_is_run_again_must_not_draw() -> None:
    for parts in ({"mixer": Attention(dropout=0.1)}, {"feedforward": MLP(dropout=0.1)}):
        with pytest.raises(UserError, match="nothing in them may be drawn"):
            Transformer(residual=Residual(join=Reversible()), **parts)  # type: ignore[arg-type]
    assert Attention(dropout=0.1, sink=LearnedSink()).kernel().name == "scores"
