"""A small transformer that reads, beside the letters, what can be known of them without looking ahead.

Three axes, all made from what is written already: the part of speech of the last finished word, where in its word and
where in its line a letter stands. The score is the text's, and a file pays for nothing but the text; ``semagram
generate RUN --show-axes`` prints the tags above it. Compare it with its controls: ``semagram compare streams``.
"""

from semagram.experiment import Experiment
from semagram.layouts import Axis, Causal, Completed, Streams
from semagram.mixers import Attention
from semagram.models import Transformer
from semagram.text.labels import PartOfSpeech, PositionInLine, PositionInWord
from semagram.training.budget import Budget
from semagram.training.settings import Training

EXPERIMENT = Experiment(
    name="streams",
    layout=Streams(
        128,
        tags=(
            Axis("pos", PartOfSpeech(), Completed(), dropout=0.1),
            Axis("place_in_word", PositionInWord(), Causal(), dropout=0.1),
            Axis("place_in_line", PositionInLine(), Causal(), dropout=0.1),
        ),
    ),
    model=Transformer(width=64, depth=2, mixer=Attention(heads=4)),
    training=Training(budget=Budget(600, "steps"), batch=16, evaluate_every=1.0, threads=1),
)
