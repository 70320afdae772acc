"""WHERE tokens stand: frozen configurations that turn a canvas into positions. They never see a weight."""

from semagram.layouts.axes import Axis, Causal, Completed, Concat, Crossed, Given, Joint, Oracle, Sum, Target
from semagram.layouts.grid import Grid
from semagram.layouts.sequence import Sequence
from semagram.layouts.streams import Streams
from semagram.layouts.visibility import Visibility

Layout = Sequence | Grid | Streams

__all__ = [
    "Axis",
    "Causal",
    "Completed",
    "Concat",
    "Crossed",
    "Given",
    "Grid",
    "Joint",
    "Layout",
    "Oracle",
    "Sequence",
    "Streams",
    "Sum",
    "Target",
    "Visibility",
]
