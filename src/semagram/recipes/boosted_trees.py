"""Gradient-boosted trees over the last eight letters (LightGBM): a contestant without a network.

Needs the package lightgbm (``pip install 'semagram[lightgbm]'``). ``--model.rounds 60 --model.leaves 31`` and so on;
the budget is the number of rounds. Every command takes the run: score, compress, decompress, generate, compare.
"""

from semagram.experiment import Experiment
from semagram.layouts import Sequence
from semagram.predictors.boosted_trees import BoostedTrees

EXPERIMENT = Experiment(name="boosted_trees", layout=Sequence(128), model=BoostedTrees())
