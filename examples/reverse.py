"""An encoder-decoder learns to write its source backwards, in some seconds on a CPU.

    python examples/reverse.py

The loop is all there is: a batch, the loss, a step. Afterwards the model is a predictor like any other: it generates,
scores and compresses the target *given the source*; a source that says everything makes the target cost nothing.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from semagram.layouts import Sequence
from semagram.mixers import Attention, CrossAttention
from semagram.models import Blocks, Decoder, Encoder, EncoderDecoder
from semagram.models.embedding import SinusoidalPositions
from semagram.models.encoder_decoder import EncoderDecoderNetwork
from semagram.objectives import weighted_nats
from semagram.objectives.paired import paired
from semagram.predictors import RankByRank, predictor_of
from semagram.training.optimisers import Muon
from semagram.training.schedule import rate_factor
from semagram.verbs.generate import generate
from semagram.verbs.sampling import Sampling
from semagram.verbs.score import score

LETTERS, LENGTH = 10, 8
BLOCKS = Blocks(width=32, depth=1, mixer=Attention(heads=4))
PLACES = SinusoidalPositions()
"""What stands at the end of the source comes first: that is easy to say of places that are known outright."""
MODEL = EncoderDecoder(Encoder(LETTERS, BLOCKS, PLACES), Decoder(BLOCKS, CrossAttention(heads=4), positions=PLACES))


def pairs(rows: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Sources of 1 to 8 letters, filled up with padding; their reverses; what counts of both. Each ``(rows, 8)``."""
    generator = torch.Generator().manual_seed(seed)
    source = torch.randint(0, LETTERS, (rows, LENGTH), generator=generator)
    length = torch.randint(1, LENGTH + 1, (rows, 1), generator=generator)
    place = torch.arange(LENGTH)[None]
    return source, source.gather(1, (length - 1 - place).clamp(min=0)), place < length


def train(steps: int, rows: int = 32) -> EncoderDecoderNetwork:
    """The whole training."""
    torch.manual_seed(0)
    network = MODEL.build(LETTERS)
    stepper = Muon().build(network)
    for step in range(steps):
        source, target, keep = pairs(rows, seed=step)
        example = paired(target, LETTERS, keep)
        weighted_nats(network(source, example.inputs, keep, keep), example).backward()
        stepper.step(rate_factor(step, steps, warmup=0.05, decay=0.6))
        stepper.forget_gradients()
    return network.eval()


def exact(network: EncoderDecoderNetwork, rows: int = 100) -> float:
    """Share of unseen sources that are written backwards without a fault."""
    source, target, keep = pairs(rows, seed=10_000)
    predictor = predictor_of(network.given(source, keep), Sequence(LENGTH), RankByRank())  # type: ignore[arg-type]
    nothing = [np.array([], dtype=np.int64)] * rows
    written = torch.from_numpy(np.stack(generate(predictor, nothing, LENGTH, Sampling(temperature=0.0))))
    return float(((written == target) | ~keep).all(dim=1).float().mean())


if __name__ == "__main__":
    network = train(400)
    print(f"written backwards without a fault: {exact(network):.0%} of unseen sources")
    source = torch.tensor([[3, 1, 4, 1, 5, 9, 2, 6]])
    predictor = predictor_of(network.given(source), Sequence(LENGTH), RankByRank())  # type: ignore[arg-type]
    for name, target in (("its reverse", [6, 2, 9, 5, 1, 4, 1, 3]), ("the source itself", [3, 1, 4, 1, 5, 9, 2, 6])):
        bits = score(predictor, np.array(target)).total_nats / np.log(2)
        print(f"given {source[0].tolist()}, {name} costs {bits:.2f} bits")
