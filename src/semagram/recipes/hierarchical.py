"""Letters at three resolutions: the tokens, and elements of 4 and 16 of them, that all serve the next letter.

The tokens look at a small window; the coarse levels carry what is further away, at a fraction of the cost. Look at
``summary`` (docs/hierarchy.md) before comparing: a level costs parameters, and with stride 1 it costs as much as the
tokens themselves. Not a claim that it is better than the recipe baseline; ``benchmarks/hierarchy.py`` asks that.
"""

from semagram.experiment import Experiment
from semagram.layouts import Sequence
from semagram.models import Hierarchical, Level
from semagram.training.budget import Budget
from semagram.training.optimisers import Muon
from semagram.training.settings import Training

EXPERIMENT = Experiment(
    name="hierarchical",
    layout=Sequence(256),
    model=Hierarchical(
        width=128,
        depth=3,
        levels=(
            Level(width=128, window=32),
            Level(factor=4, stride=2, width=128, window=32),
            Level(factor=16, stride=8, width=128, window="full"),
        ),
    ),
    training=Training(
        budget=Budget(90, "seconds"),
        batch=4,
        halved=0.5,
        optimiser=Muon(rate=0.02, head_rate=0.004, adam_rate=0.01, momentum=0.9),
        warmup=0.0,
        threads=1,
        clip=None,
    ),
)
