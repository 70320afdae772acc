"""semagram: language models whose text need not stand in a line, judged by the size of a file that decodes.

``semagram.train(...)``, ``semagram.load("runs/x")`` and what they return are all that a notebook needs. Names are
looked up on first use, so importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from semagram.experiment import Experiment as Experiment
    from semagram.lab.ensembles import TrainedEnsemble as TrainedEnsemble
    from semagram.lab.ensembles import ensemble as ensemble
    from semagram.lab.runs import train as train
    from semagram.trained import TrainedModel as TrainedModel
    from semagram.trained import load as load
    from semagram.verbs.audit import audit as audit

__version__ = "0.1.0"

_WHERE = {
    "Experiment": "semagram.experiment",
    "TrainedEnsemble": "semagram.lab.ensembles",
    "TrainedModel": "semagram.trained",
    "audit": "semagram.verbs.audit",
    "ensemble": "semagram.lab.ensembles",
    "load": "semagram.trained",
    "train": "semagram.lab.runs",
}

__all__ = ["Experiment", "TrainedEnsemble", "TrainedModel", "__version__", "audit", "ensemble", "load", "train"]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"semagram has no {name!r}; it has {', '.join(__all__)}.")
    return getattr(import_module(_WHERE[name]), name)


def __dir__() -> list[str]:
    return __all__
