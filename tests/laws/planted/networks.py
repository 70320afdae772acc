"""Faults of networks, objectives and optimisers: real code with one thing changed, and the law that must see it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from torch import nn

from laws import company, distribution, keeping, learning, no_peeking, stepping
from laws.cases import Case
from laws.planted import network_changes as net
from semagram.feedforward import LayerNorm, RMSNorm, norms
from semagram.feedforward.mlp import MLPLayer
from semagram.layouts import Grid, Sequence, Visibility
from semagram.layouts.geometry import Geometry
from semagram.mixers import Convolution, Neighbourhood, attention, neighbourhood, tiles
from semagram.mixers.attention import AttentionMixer, KeyValueState
from semagram.mixers.convolution import ConvolutionMixer
from semagram.mixers.token_shift import TokenShiftMixer
from semagram.models import Merged, Page, Repeated, Transformer
from semagram.models.merging import Merging
from semagram.models.page import PageNetwork
from semagram.objectives import coherent

CAUSAL, FULL = Visibility.CAUSAL, Visibility.FULL


def case(visibility: Visibility = CAUSAL, layout: Any = None, vocabulary: int = 7, **fields: Any) -> Case:
    """A small combination; attention unless said otherwise."""
    return Case(Transformer(**{"width": 16, "depth": 2, **fields}), layout or Sequence(7), visibility, vocabulary)


@dataclass(frozen=True)
class Planted:
    """``plant(patch)`` changes our code; ``law`` is the name of the law that must break on ``case``."""

    name: str
    law: str
    plant: Callable[[pytest.MonkeyPatch], None]
    case: Case


@contextmanager
def planted(fault: Planted) -> Iterator[None]:
    """The fault, and afterwards the sound code again."""
    with pytest.MonkeyPatch.context() as patch:
        fault.plant(patch)
        yield


STEP, PEEK, DEAF = stepping.LAW, no_peeking.LAW, no_peeking.DEAF
COMPANY, ORDER, PAD = company.COMPANY, company.ORDER, company.PADDING
SNAKE = Grid(3, 4, "snake")
GAINED = {"norm": RMSNorm(gain=True)}


def page(visibility: Visibility = FULL, layout: Any = None, **fields: Any) -> Case:
    """A small page."""
    model = Page(**{"width": 16, "depth": 2, "local": Neighbourhood(heads=2, rows=3, columns=3), **fields})
    return Case(model, layout or Grid(4, 5), visibility, 7)


FAULTS: list[Planted] = [
    Planted(
        "windows that look one cell ahead",
        STEP,
        net.replacing(tiles, "seen_on_axis", net.window_further_by(1)),
        page(CAUSAL, Sequence(9), local=Neighbourhood(heads=2, rows=1, columns=3, causal_columns=True)),
    ),
    Planted("tiles that forget ranks", PEEK, net.replacing(tiles, "part_of", net.ranks_forgotten), page(CAUSAL)),
    Planted(
        "tiles in presented order",
        STEP,
        lambda patch: patch.setattr(
            tiles.Tiling, "of", staticmethod(net.page_without_places(tiles.Tiling.__dict__["of"]))
        ),
        page(CAUSAL, Grid(3, 4, "columns")),
    ),
    Planted("padding in windows", PAD, net.replacing(neighbourhood, "visible", net.kept_in_windows), page()),
    Planted(
        "padding in super-tokens",
        PAD,
        net.replacing(Merging, "merge", net.kept_in_squares),
        page(merged=Merged(2, 1)),
    ),
    Planted(
        "super-tokens of another row",
        ORDER,
        net.replacing(Merging, "hand_back", net.merged_by_rows_of_the_batch),
        page(merged=Merged(2, 1)),
    ),
    Planted("lines that ask for what they show", PEEK, net.replacing(coherent, "lines", net.visible_asked_too), page()),
    Planted(
        "iterations share one state",
        STEP,
        net.replacing(PageNetwork, "new_state", net.iterations_share_a_state),
        page(CAUSAL, repeated=Repeated(2)),
    ),
    Planted("a mask that hides nothing", PEEK, net.attending(net.everyone), case()),
    Planted("a mask off by one", PEEK, net.attending(net.off_by(1)), case(layout=SNAKE)),
    Planted("a mask too strict by one", STEP, net.attending(net.off_by(-1)), case()),
    Planted("a chunk forgets what came before it", STEP, net.attending(net.past_forgotten), case()),
    Planted("attention mixes rows", ORDER, net.attending(net.rows_mixed), case()),
    Planted("attention mixes rows (masked)", ORDER, net.attending(net.rows_mixed), case(FULL)),
    Planted("keys get no gradient", learning.LEARNS, net.attending(net.keys_detached), case()),
    Planted(
        "causal slots in the order of cells", PEEK, net.replacing(Geometry, "of", net.cell_order), case(layout=SNAKE)
    ),
    Planted("the state off by one", STEP, net.replacing(KeyValueState, "append", net.without_newest), case()),
    Planted("rows share one state", STEP, net.replacing(KeyValueState, "append", net.first_row_only), case()),
    Planted(
        "the state has its heads in another order",
        STEP,
        net.replacing(KeyValueState, "append", net.heads_turned),
        case(),
    ),
    Planted("rotary offset while stepping", STEP, net.replacing(Geometry, "narrow", net.narrow_shifted), case()),
    Planted(
        "positions restart with every chunk",
        STEP,
        net.replacing(Geometry, "narrow", net.narrow_restarts),
        case(layout=SNAKE),
    ),
    Planted(
        "the key state is not cleared", STEP, net.replacing(AttentionMixer, "new_state", net.shared_buffer), case()
    ),
    Planted(
        "the convolution's state is not cleared",
        STEP,
        net.replacing(ConvolutionMixer, "new_state", net.shared_buffer),
        case(mixer=Convolution()),
    ),
    Planted(
        "the shift's state is not cleared",
        STEP,
        net.replacing(TokenShiftMixer, "new_state", net.shared_buffer),
        case(),
    ),
    Planted(
        "the convolution remembers the wrong end",
        STEP,
        net.replacing(ConvolutionMixer, "step", net.first_not_last),
        case(mixer=Convolution()),
    ),
    Planted(
        "a convolution padded on both sides",
        PEEK,
        net.replacing(ConvolutionMixer, "forward", net.centred_padding),
        case(mixer=Convolution()),
    ),
    Planted("a shift from the right", PEEK, net.replacing(TokenShiftMixer, "forward", net.from_the_right), case()),
    Planted("padding is attended", PAD, net.replacing(attention, "padding_mask", net.keep_forgotten), case()),
    Planted(
        "padding is attended (masked)", PAD, net.replacing(attention, "padding_mask", net.keep_forgotten), case(FULL)
    ),
    Planted("padding makes NaN", PAD, net.replacing(AttentionMixer, "forward", net.not_a_number_at_padding), case()),
    Planted(
        "padding is convolved",
        PAD,
        net.replacing(ConvolutionMixer, "forward", net.padding_kept),
        case(mixer=Convolution()),
    ),
    Planted("padding is shifted in", PAD, net.replacing(TokenShiftMixer, "forward", net.padding_kept), case()),
    Planted(
        "a norm over the sequence",
        PEEK,
        net.replacing(norms.RMSNormLayer, "forward", net.output(net.over_the_sequence)),
        case(),
    ),
    Planted(
        "a norm over the batch",
        COMPANY,
        net.replacing(norms.RMSNormLayer, "forward", net.output(net.over_the_batch)),
        case(),
    ),
    Planted(
        "a norm over the batch (masked)",
        COMPANY,
        net.replacing(norms.LayerNormLayer, "forward", net.output(net.over_the_batch)),
        case(FULL, norm=LayerNorm()),
    ),
    Planted(
        "a norm that needs two slots",
        distribution.LAW,
        net.replacing(norms.RMSNormLayer, "forward", net.output(net.by_spread)),
        case(layout=Sequence(1)),
    ),
    Planted(
        "the row's number in the numbers", ORDER, net.replacing(MLPLayer, "forward", net.output(net.by_row)), case()
    ),
    Planted("noise outside training", STEP, net.replacing(MLPLayer, "forward", net.output(net.noisy)), case()),
    Planted("dropout outside training", STEP, net.replacing(nn.Dropout, "forward", net.dropping), case(dropout=0.2)),
    Planted(
        "a branch that never wakes", learning.LEARNS, net.replacing(MLPLayer, "forward", net.output(net.asleep)), case()
    ),
    Planted(
        "a mixer that hears nothing",
        DEAF,
        net.replacing(AttentionMixer, "forward", net.output(net.asleep)),
        case(FULL, shift=None),
    ),
    Planted(
        "a norm's gain is ignored",
        learning.LEARNS,
        net.replacing(norms.RMSNormLayer, "forward", lambda _: lambda self, x: norms.normalise(x, self.epsilon)),
        case(**GAINED),
    ),
    Planted("a parameter nobody uses", learning.LEARNS, net.rebuilt(net.useless_parameter), case()),
    Planted("a head that is frozen", learning.HELD, net.rebuilt(net.frozen_head), case()),
    Planted(
        "a tied head that is a closure",
        keeping.COPIED,
        net.rebuilt(net.head_by_closure),
        case(tied=True, logit_cap=None),
    ),
    Planted("a scale that is not saved", keeping.SAVED, net.rebuilt(net.unsaved_scale), case()),
    Planted(
        "Python in the middle of the network", keeping.COMPILED, net.rebuilt(net.python_in_the_middle), case(depth=1)
    ),
]
"""Each on the smallest combination that can show it."""


CLEAN = [
    case(),
    case(FULL),
    case(mixer=Convolution()),
    case(layout=SNAKE),
    case(FULL, norm=LayerNorm()),
    case(tied=True),
    case(**GAINED),
]
"""On which no law may break."""
