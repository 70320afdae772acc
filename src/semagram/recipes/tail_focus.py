"""Tail focus over 256 letters: the last sixteen as they are, older ones in summaries of eight and of sixty-four.

Trained on every position; the seed trained one window of 256 letters for each target.
"""

from dataclasses import replace

from semagram.layouts import Sequence
from semagram.mixers import TailFocus
from semagram.models import Transformer
from semagram.recipes.baseline import EXPERIMENT as BASELINE

assert isinstance(BASELINE.model, Transformer)

EXPERIMENT = replace(
    BASELINE,
    name="tail_focus",
    layout=Sequence(256),
    model=replace(
        BASELINE.model,
        width=64,
        depth=2,
        mixer=TailFocus(kernels=(8, 8), strides=(8, 8), focus=(16, 8, 4)),
    ),
    training=replace(BASELINE.training, batch=4),
)
