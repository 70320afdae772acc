"""Faults of networks, objectives and optimisers: real code with one thing changed, and the law that must see it."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from laws import company, distribution, keeping, learning, no_peeking, options, stepping
from laws.broken import Broken
from laws.cases import Case
from semagram.feedforward import MLP, LayerNorm, RMSNorm, norms
from semagram.feedforward.mlp import MLPLayer
from semagram.layouts import Grid, Sequence, Visibility
from semagram.layouts.geometry import Geometry
from semagram.mixers import Attention, Convolution, attention, convolution, rotary
from semagram.mixers.attention import AttentionMixer, KeyValueState
from semagram.mixers.convolution import ConvolutionMixer
from semagram.mixers.token_shift import TokenShiftMixer
from semagram.models import Transformer
from semagram.models.transformer import TransformerNetwork
from semagram.objectives import Example, Masked, NextToken, next_token
from semagram.training import parameters

from laws.planted.judged import OPTION
from laws.planted.network_changes import *  # noqa
from laws.planted.training_changes import *  # noqa

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


F_ = Planted
STEP, PEEK, DEAF = stepping.LAW, no_peeking.LAW, no_peeking.DEAF
COMPANY, ORDER, PAD = company.COMPANY, company.ORDER, company.PADDING
SNAKE = Grid(3, 4, "snake")
GAINED = {"norm": RMSNorm(gain=True)}

FAULTS: list[Planted] = [
    F_("a mask that hides nothing", PEEK, attending(everyone), case()),
    F_("a mask off by one", PEEK, attending(off_by(1)), case(layout=SNAKE)),
    F_("a mask too strict by one", STEP, attending(off_by(-1)), case()),
    F_("a chunk forgets what came before it", STEP, attending(past_forgotten), case()),
    F_("attention mixes rows", ORDER, attending(rows_mixed), case()),
    F_("attention mixes rows (masked)", ORDER, attending(rows_mixed), case(FULL)),
    F_("keys get no gradient", learning.LEARNS, attending(keys_detached), case()),
    F_("causal slots in the order of cells", PEEK, replacing(Geometry, "of", cell_order), case(layout=SNAKE)),
    F_("the state off by one", STEP, replacing(KeyValueState, "append", without_newest), case()),
    F_("rows share one state", STEP, replacing(KeyValueState, "append", first_row_only), case()),
    F_("the state has its heads in another order", STEP, replacing(KeyValueState, "append", heads_turned), case()),
    F_("rotary offset while stepping", STEP, replacing(Geometry, "narrow", narrow_shifted), case()),
    F_("positions restart with every chunk", STEP, replacing(Geometry, "narrow", narrow_restarts), case(layout=SNAKE)),
    F_("the key state is not cleared", STEP, replacing(AttentionMixer, "new_state", shared_buffer), case()),
    F_(
        "the convolution's state is not cleared", STEP,
        replacing(ConvolutionMixer, "new_state", shared_buffer), case(mixer=Convolution()),
    ),
    F_(
        "the shift's state is not cleared", STEP,
        replacing(TokenShiftMixer, "new_state", shared_buffer), case(),
    ),
    F_(
        "the convolution remembers the wrong end", STEP, replacing(ConvolutionMixer, "step", first_not_last),
        case(mixer=Convolution()),
    ),
    F_("a convolution padded on both sides", PEEK, replacing(ConvolutionMixer, "forward", centred_padding), case(mixer=Convolution())),
    F_("a shift from the right", PEEK, replacing(TokenShiftMixer, "forward", from_the_right), case()),
    F_("padding is attended", PAD, replacing(attention, "padding_mask", keep_forgotten), case()),
    F_("padding is attended (masked)", PAD, replacing(attention, "padding_mask", keep_forgotten), case(FULL)),
    F_("padding makes NaN", PAD, replacing(AttentionMixer, "forward", not_a_number_at_padding), case()),
    F_("padding is convolved", PAD, replacing(ConvolutionMixer, "forward", padding_kept), case(mixer=Convolution())),
    F_("padding is shifted in", PAD, replacing(TokenShiftMixer, "forward", padding_kept), case()),
    F_("a norm over the sequence", PEEK, replacing(norms.RMSNormLayer, "forward", output(over_the_sequence)), case()),
    F_("a norm over the batch", ORDER, replacing(norms.RMSNormLayer, "forward", output(over_the_batch)), case()),
    F_("a norm over the batch (masked)", ORDER, replacing(norms.LayerNormLayer, "forward", output(over_the_batch)), case(FULL, norm=LayerNorm())),
    F_("a norm that needs two slots", distribution.LAW, replacing(norms.RMSNormLayer, "forward", output(by_spread)), case(layout=Sequence(1))),
    F_("the row's number in the numbers", ORDER, replacing(MLPLayer, "forward", output(by_row)), case()),
    F_("noise outside training", STEP, replacing(MLPLayer, "forward", output(noisy)), case()),
    F_("dropout outside training", STEP, replacing(nn.Dropout, "forward", dropping), case(dropout=0.2)),
    F_("a branch that never wakes", learning.LEARNS, replacing(MLPLayer, "forward", output(asleep)), case()),
    F_("a mixer that hears nothing", DEAF, replacing(AttentionMixer, "forward", output(asleep)), case(FULL, shift=None)),
    F_("a norm's gain is ignored", learning.LEARNS, replacing(norms.RMSNormLayer, "forward", lambda _: lambda self, x: norms.normalise(x, self.epsilon)), case(**GAINED)),
    F_("a parameter nobody uses", learning.LEARNS, rebuilt(useless_parameter), case()),
    F_("a head that is frozen", learning.HELD, rebuilt(frozen_head), case()),
    F_("a tied head that is a closure", keeping.COPIED, rebuilt(head_by_closure), case(tied=True, logit_cap=None)),
    F_("a scale that is not saved", keeping.SAVED, rebuilt(unsaved_scale), case()),
    F_("Python in the middle of the network", keeping.COMPILED, rebuilt(python_in_the_middle), case(depth=1)),
    F_("the logit cap is ignored", OPTION, rebuilt(no_cap), case()),
    F_(
        "sharpness is ignored", OPTION,
        replacing(AttentionMixer, "__init__", lambda sound: lambda self, config, *a: (sound(self, config, *a), setattr(self, "scale", 0.5))[0]),
        case(mixer=Attention(sharpness=4.0)),
    ),
    F_("the rotary base is ignored", OPTION, replacing(attention, "rotary_tables", lambda sound: lambda c, w, base: sound(c, w, 100.0)), case()),
    F_("the activation is ignored", OPTION, replacing(MLPLayer, "forward", lambda _: lambda self, x: self.down(F.relu(self.up(x)))), case(feedforward=MLP(activation="relu"))),
    F_("the norm's epsilon is ignored", OPTION, replacing(norms.RMSNormLayer, "forward", lambda _: lambda self, x: norms.normalise(x)), case()),
    F_("the input is the target", PEEK, replacing(NextToken, "example", peeking_at_itself(NextToken)), case()),
    F_("labels shifted the wrong way", PEEK, replacing(next_token, "shifted", lambda _: shifted_left), case()),
    F_("nothing is hidden", PEEK, replacing(Masked, "example", peeking_at_itself(Masked)), case(FULL)),
    F_("one hidden cell is shown", PEEK, replacing(Masked, "example", changed_example(one_shown)), case(FULL)),
    F_("the mask is an ordinary id", PEEK, replacing(Masked, "example", changed_example(mask_is_an_id)), case(FULL)),
    F_("what is shown is asked too", PEEK, replacing(Masked, "example", with_weights(torch.ones_like)), case(FULL)),
    F_("weights of one instead of n / m", learning.RANDOM, replacing(Masked, "example", with_weights(lambda w: (w > 0).float())), case(FULL, vocabulary=5)),
    F_("weights nine tenths of what they should be", learning.RANDOM, replacing(Masked, "example", with_weights(lambda w: 0.9 * w)), case(FULL, vocabulary=5)),
    F_("the loss is a mean over what is not asked", learning.RANDOM, lambda patch: patch.setattr(learning, "weighted_nats", loss_of_all), case(FULL, vocabulary=5)),
    F_("log_softmax over the positions", learning.RANDOM, lambda patch: patch.setattr(learning, "weighted_nats", loss_over_positions), case(vocabulary=5)),
    F_("labels one to the left, trained", learning.RANDOM, replacing(next_token, "shifted", lambda _: shifted_left), case(vocabulary=5)),
    F_("a parameter is missing from the optimiser", learning.HELD, replacing(parameters, "parts_of", one_dropped), case()),
    F_("a parameter stands twice in the optimiser", learning.HELD, replacing(parameters, "parts_of", one_twice), case()),
]  # fmt: skip
"""Each on the smallest combination that can show it."""


CLEAN = [case(), case(FULL), case(mixer=Convolution()), case(layout=SNAKE), case(FULL, norm=LayerNorm()), case(tied=True), case(**GAINED)]  # fmt: skip
