"""Synthetic tasks with known answers, which tell architectures apart within CPU minutes."""

from semagram.lab.tasks.contract import Batch, Task
from semagram.lab.tasks.copying import Copy, Reverse, SelectiveCopy
from semagram.lab.tasks.memorise import Memorise
from semagram.lab.tasks.on_a_line import OnALine
from semagram.lab.tasks.recall import Hops, Induction, Recall
from semagram.lab.tasks.solve import Solved, solve
from semagram.lab.tasks.tracking import Brackets, Parity

AnyTask = (
    Recall
    | Induction
    | Hops
    | Copy
    | Reverse
    | SelectiveCopy
    | Parity
    | Brackets
    | Memorise
    | OnALine
)  # fmt: skip

__all__ = [
    "AnyTask",
    "Batch",
    "Brackets",
    "Copy",
    "Hops",
    "Induction",
    "Memorise",
    "OnALine",
    "Parity",
    "Recall",
    "Reverse",
    "SelectiveCopy",
    "Solved",
    "Task",
    "solve",
]
