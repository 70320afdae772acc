"""Handwritten digits on the same page as text: pixels in four greys under a caption, completed in any order.

    pip install scikit-learn
    python examples/complete_digits.py [--steps 1500] [--seed 0]

A page of 9 x 8 cells: the caption (one of ten words, a token) fills the first row, the pixels of scikit-learn's
digits, quantised, the other eight. One masked model then does three things without being told which: it completes the
lower half of a digit, it draws one from its caption, and it reads one (the caption is hidden, the pixels are known).
Accuracy of reading is told for held-out digits.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch

from semagram.layouts import Grid, Visibility
from semagram.layouts.geometry import Geometry
from semagram.mixers import Neighbourhood
from semagram.models import Page, Whole
from semagram.objectives import Masked, weighted_nats
from semagram.predictors import Unmasking, predictor_of
from semagram.training.optimisers import Muon

GREYS, PAGE = 4, Grid(9, 8)
VOCABULARY = GREYS + 10


def pages_of(pixels: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """``(count, 8, 8)`` from 0 to 16 and ``(count,)`` -> ids ``(count, 72)``."""
    greys = np.minimum(pixels * GREYS // 17, GREYS - 1).astype(np.int64).reshape(len(pixels), 64)
    captions = np.repeat(GREYS + labels.astype(np.int64)[:, None], 8, axis=1)
    return np.concatenate([captions, greys], axis=1)


def train(pages: np.ndarray, steps: int, seed: int, batch: int = 32) -> torch.nn.Module:
    """A small page network, in its mode for answering."""
    torch.manual_seed(seed)
    model = Page(width=64, depth=4, local=Neighbourhood(heads=4, rows=5, columns=5), whole=Whole(every=2))
    network = model.build(VOCABULARY, PAGE, Visibility.FULL)
    geometry = Geometry.of(PAGE.positions(), Visibility.FULL)
    stepper = Muon(rate=0.02, head_rate=0.004, adam_rate=0.01).build(network)
    random, generator = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    for step in range(steps):
        ids = torch.from_numpy(pages[random.integers(len(pages), size=batch)])
        example = Masked().example(ids, geometry, VOCABULARY, generator)
        loss = weighted_nats(network(example.inputs, geometry), example)
        loss.backward()
        stepper.step(1.0 - step / steps)
        stepper.forget_gradients()
        if step % 100 == 0:
            print(f"step {step}: {loss.item():.3f} nats a cell", flush=True)
    return network.eval()


def completed(network: torch.nn.Module, given: np.ndarray, seed: int = 0) -> np.ndarray:
    """``given (count, 72)`` with -1 where something is to be drawn; as many hidden cells in every row."""
    writing = Unmasking(choice="confidence", schedule="cosine", steps=16)
    rows = torch.from_numpy(given)
    state = predictor_of(network, PAGE, writing).open(PAGE, len(rows), rows)  # type: ignore[arg-type]
    generator, found = torch.Generator().manual_seed(seed), rows.clone()
    while (cells := state.next_positions).shape[1]:
        chances = state.log_probs().exp()
        drawn = torch.multinomial(chances.flatten(0, 1), 1, generator=generator).view(cells.shape)
        found.scatter_(1, cells, drawn)
        state.write(drawn)
    return found.numpy()


def shown(page: np.ndarray) -> str:
    """A page as text."""
    signs = " .+#" + "0123456789"
    return "\n".join("".join("?" if i < 0 else signs[i] for i in row) for row in page.reshape(9, 8))


def main() -> None:
    """Train, complete, draw, read."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    try:
        from sklearn.datasets import load_digits  # type: ignore[import-not-found]
    except ImportError:
        raise SystemExit("this example needs scikit-learn: pip install scikit-learn") from None
    torch.set_num_threads(1)
    digits = load_digits()
    pages = pages_of(digits.images, digits.target)
    known, unseen = pages[:1500], pages[1500:]
    network = train(known, options.steps, options.seed)

    halves = unseen[:3].copy()
    halves[:, 40:] = -1
    for before, after in zip(halves, completed(network, halves), strict=True):
        print(f"\n{shown(before)}\n->\n{shown(after)}")
    captions = np.full((3, 72), -1)
    captions[:, :8] = GREYS + np.array([[3], [7], [8]])
    for page in completed(network, captions):
        print(f"\n{shown(page)}")
    hidden = unseen.copy()
    hidden[:, :8] = -1
    read = completed(network, hidden)[:, 0]
    print(f"\nread correctly: {100 * (read == unseen[:, 0]).mean():.1f} % of {len(unseen)} unseen digits")


if __name__ == "__main__":
    main()
