"""The examples of models by hand run: the six of the seed at their printed sizes, and two that train in seconds."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
import torch

EXAMPLES = Path(__file__).parents[2] / "examples"


def example(name: str) -> Any:
    specification = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_the_six_models_have_the_printed_shapes() -> None:
    """On the meta device: shapes without numbers, at the sizes of the README."""
    module = example("six_models")
    with torch.device("meta"), torch.no_grad():
        for run, shape in module.SHAPES.items():
            assert tuple(run().shape) == shape, run.__name__
    parameters = sum(p.numel() for p in module.gpt3().parameters())
    assert 174e9 < parameters < 177e9


def test_an_encoder_decoder_learns_to_write_backwards() -> None:
    module = example("reverse")
    assert module.exact(module.train(steps=100)) > 0.25


def test_digits_are_named_and_spelled() -> None:
    pytest.importorskip("sklearn")
    module = example("digits")
    assert module.classify(steps=50) > 0.7
    assert module.describe(steps=80) > 0.5
