"""A cellular automaton of letters: each is guessed from five on either side, then the whole line is rewritten, again
and again (the seed's centred model). Its loss is a pseudo-likelihood and is never set beside a score.

Try ``semagram automaton RUN --text "The monster awakes" --steps 10 --every`` when it is trained.
"""

from semagram.experiment import Experiment
from semagram.layouts import Sequence
from semagram.models import Window
from semagram.objectives import Centred
from semagram.predictors import CellularAutomaton
from semagram.training.budget import Budget
from semagram.training.optimisers import AdamW
from semagram.training.settings import Training

EXPERIMENT = Experiment(
    name="automaton",
    layout=Sequence(128),
    model=Window(context=5, width=200, hidden=1),
    objective=Centred(),
    writing=CellularAutomaton(steps=10),
    training=Training(budget=Budget(60, "seconds"), batch=8, optimiser=AdamW(rate=3e-3), threads=1),
)
