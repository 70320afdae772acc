"""Letters on a line, a modern causal transformer, next token: what every other idea is compared with."""

from semagram.experiment import Experiment

EXPERIMENT = Experiment(name="baseline")
