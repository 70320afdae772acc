"""Letters on a page, written in any order: neighbourhood attention, masked training, filling in the model's own order.

The page is 16 x 16 letters of the text, row by row; every third block looks at the whole page, the others at a window
of 5 x 9. Made for ``semagram fill``: gaps anywhere, written in the order of confidence. Its score is that of its own
order, in 32 steps a page: what a file costs that decodes, not to be set beside left-to-right figures without saying
so.
"""

from semagram.experiment import Experiment
from semagram.layouts import Grid
from semagram.mixers import Neighbourhood
from semagram.models import Page, Whole
from semagram.objectives import Masked
from semagram.predictors import Unmasking
from semagram.training.budget import Budget
from semagram.training.optimisers import Muon
from semagram.training.settings import Training

EXPERIMENT = Experiment(
    name="heptapod",
    layout=Grid(16, 16),
    model=Page(width=128, depth=3, local=Neighbourhood(heads=4, rows=5, columns=9), whole=Whole(every=3)),
    objective=Masked(),
    writing=Unmasking(choice="confidence", schedule="cosine", steps=32),
    training=Training(
        budget=Budget(90, "seconds"),
        batch=8,
        optimiser=Muon(rate=0.02, head_rate=0.004, adam_rate=0.01, momentum=0.9),
        warmup=0.0,
        threads=1,
        clip=None,
    ),
)
