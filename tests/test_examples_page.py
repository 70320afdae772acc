"""The digits example at toy size, without scikit-learn: pages are made, learnt and completed; what is known stays."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np

EXAMPLE = Path(__file__).parents[1] / "examples" / "complete_digits.py"


def test_digits_are_completed() -> None:
    specification = importlib.util.spec_from_file_location("complete_digits", EXAMPLE)
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    random = np.random.default_rng(0)
    pages = module.pages_of(random.integers(0, 17, (12, 8, 8)), random.integers(0, 10, 12))
    assert pages.shape == (12, 72) and pages[:, 8:].max() == 3 and pages[:, :8].min() >= 4
    network = module.train(pages, steps=3, seed=0, batch=4)
    given = pages[:2].copy()
    given[:, 40:] = -1
    found = module.completed(network, given)
    assert np.array_equal(found[:, :40], pages[:2, :40]) and found.min() >= 0
    assert len(module.shown(given[0]).splitlines()) == 9
