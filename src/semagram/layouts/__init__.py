"""WHERE tokens stand: frozen configurations that turn a canvas into positions. They never see a weight."""

from semagram.layouts.grid import Grid
from semagram.layouts.sequence import Sequence
from semagram.layouts.streams import Streams
from semagram.layouts.visibility import Visibility

Layout = Sequence | Grid | Streams

__all__ = ["Grid", "Layout", "Sequence", "Streams", "Visibility"]
