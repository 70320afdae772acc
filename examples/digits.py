"""A vision transformer learns the handwritten digits that come with scikit-learn, in some seconds on a CPU.

    pip install scikit-learn
    python examples/digits.py

1,797 pictures of 8 x 8 grey pixels; every fifth is held out. The same vision encoder with a decoder behind it writes
the digit's English name, letter by letter: image to caption at its smallest.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from semagram.layouts import Sequence
from semagram.mixers import Attention
from semagram.models import Blocks, Classifier, Decoder, EncoderDecoder, Vision
from semagram.objectives import weighted_nats
from semagram.objectives.paired import paired
from semagram.predictors import RankByRank, predictor_of
from semagram.training.optimisers import Muon
from semagram.training.schedule import rate_factor
from semagram.verbs.generate import generate
from semagram.verbs.sampling import Sampling

NAMES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
ALPHABET = "." + "".join(sorted(set("".join(NAMES))))
"""The full stop ends a name and fills it up."""
LONGEST = 6

VISION = Vision(image=(8, 8), patch=(4, 4), channels=1, blocks=Blocks(width=32, depth=2, mixer=Attention(heads=4)))
CLASSIFIER = Classifier(VISION, classes=10)
CAPTIONER = EncoderDecoder(VISION, Decoder(Blocks(width=32, depth=1, mixer=Attention(heads=4))))


def pictures() -> tuple[Tensor, Tensor]:
    """``(1797, 1, 8, 8)`` in -1 .. 1 and ``(1797,)``; ``ImportError`` without scikit-learn."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    return torch.tensor(digits.images, dtype=torch.float32)[:, None] / 8 - 1, torch.tensor(digits.target)


def held_out(count: int) -> Tensor:
    """Which pictures are not trained on: every fifth."""
    return torch.arange(count) % 5 == 0


def train(network: nn.Module, loss, steps: int, count: int, rows: int = 64) -> None:  # type: ignore[no-untyped-def]
    """``loss(indices)`` on random batches of what is not held out."""
    stepper, generator = Muon().build(network), torch.Generator().manual_seed(0)
    known = (~held_out(count)).nonzero()[:, 0]
    for step in range(steps):
        loss(known[torch.randint(0, len(known), (rows,), generator=generator)]).backward()
        stepper.step(rate_factor(step, steps, warmup=0.05, decay=0.6))
        stepper.forget_gradients()
    network.eval()


def classify(steps: int = 200) -> float:
    """Train the classifier; the share of held-out pictures that it names rightly."""
    image, digit = pictures()
    torch.manual_seed(0)
    network = CLASSIFIER.build()
    train(network, lambda rows: F.cross_entropy(network(image[rows]), digit[rows]), steps, len(image))
    rest = held_out(len(image))
    with torch.no_grad():
        return float((network(image[rest]).argmax(dim=1) == digit[rest]).float().mean())


def spelled() -> Tensor:
    """The names as ids, ``(10, 6)``."""
    return torch.tensor([[ALPHABET.index(c) for c in name.ljust(LONGEST, ".")] for name in NAMES])


def describe(steps: int = 300) -> float:
    """Train the captioner; the share of held-out pictures whose name it writes without a fault."""
    image, digit = pictures()
    torch.manual_seed(0)
    network, names = CAPTIONER.build(len(ALPHABET)), spelled()

    def loss(rows: Tensor) -> Tensor:
        example = paired(names[digit[rows]], len(ALPHABET))
        return weighted_nats(network(image[rows], example.inputs), example)

    train(network, loss, steps, len(image))
    rest = held_out(len(image)).nonzero()[:, 0]
    predictor = predictor_of(network.given(image[rest]), Sequence(LONGEST), RankByRank())  # type: ignore[arg-type]
    nothing = [torch.zeros(0, dtype=torch.int64).numpy()] * len(rest)
    written = generate(predictor, nothing, LONGEST, Sampling(temperature=0.0))
    right = [row.tolist() == names[digit[at]].tolist() for row, at in zip(written, rest, strict=True)]
    return sum(right) / len(right)


if __name__ == "__main__":
    print(f"named rightly: {classify():.1%} of the held-out digits")
    print(f"spelled rightly: {describe():.1%} of the held-out digits")
