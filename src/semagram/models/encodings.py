"""What can read a source: the union that encoder-decoders and classifiers choose from.

Each is a config with ``width`` and ``build()``; its network is called with a source and what of it counts (``keep``)
and gives a ``Context``.
"""

from semagram.models.encoder import Encoder
from semagram.models.funnel import Funnel
from semagram.models.perceiver import Perceiver
from semagram.models.vectors import VectorEncoder
from semagram.models.vision import Vision

Encoding = Encoder | Vision | VectorEncoder | Perceiver | Funnel
