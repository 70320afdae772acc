"""The seed's character network: sixteen letters, a table each, one hidden layer of piecewise polynomials, a readout.

Every link is a quadratic on two segments (``--model.links.order 1 --model.links.segments 8`` and so on change that,
``--model.hidden 0`` is the network without a hidden layer, ``--model.links none`` the one with rectifiers).
"""

from semagram.experiment import Experiment
from semagram.feedforward.basis import Continuous
from semagram.layouts import Sequence
from semagram.models import Window
from semagram.training.budget import Budget
from semagram.training.optimisers import AdamW
from semagram.training.settings import Training

EXPERIMENT = Experiment(
    name="high_order",
    layout=Sequence(128),
    model=Window(context=16, width=200, hidden=1, links=Continuous(order=2, segments=2)),
    training=Training(budget=Budget(60, "seconds"), batch=8, optimiser=AdamW(rate=3e-3), threads=1),
)
