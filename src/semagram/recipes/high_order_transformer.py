"""The baseline with a layer of piecewise polynomials in the place of each feedforward network: no activation is left.

One layer of functions from d to d has five numbers a link (quadratic, two segments), an MLP of multiple 4 eight.
"""

from dataclasses import replace

from semagram.feedforward import Piecewise
from semagram.feedforward.basis import Continuous
from semagram.models import Transformer
from semagram.recipes.baseline import EXPERIMENT as BASELINE

assert isinstance(BASELINE.model, Transformer)

EXPERIMENT = replace(
    BASELINE,
    name="high_order_transformer",
    model=replace(BASELINE.model, feedforward=Piecewise(basis=Continuous(order=2, segments=2))),
)
