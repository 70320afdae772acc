"""Faults of options, objectives, losses and optimisers; the rest is as in ``networks``."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from laws import company, learning, no_peeking, stepping
from laws.planted import network_changes as net
from laws.planted import training_changes as asked
from laws.planted.judged import OPTION
from laws.planted.networks import Planted, case
from semagram.feedforward import MLP, RMSNorm, norms
from semagram.feedforward.mlp import MLPLayer
from semagram.layouts import Grid, Visibility
from semagram.mixers import Attention, rotary
from semagram.mixers.attention import AttentionMixer
from semagram.objectives import Bert, Masked, NextToken, PrefixLM, next_token
from semagram.training import parameters

CAUSAL, FULL = Visibility.CAUSAL, Visibility.FULL


STEP, PEEK, DEAF = stepping.LAW, no_peeking.LAW, no_peeking.DEAF
COMPANY, ORDER, PAD = company.COMPANY, company.ORDER, company.PADDING
SNAKE = Grid(3, 4, "snake")
GAINED = {"norm": RMSNorm(gain=True)}

FAULTS: list[Planted] = [
    Planted("the logit cap is ignored", OPTION, net.rebuilt(net.no_cap), case()),
    Planted(
        "sharpness is ignored",
        OPTION,
        net.replacing(
            AttentionMixer,
            "__init__",
            lambda sound: lambda self, config, *a: (sound(self, config, *a), setattr(self, "scale", 0.5))[0],
        ),
        case(mixer=Attention(sharpness=4.0)),
    ),
    Planted(
        "the rotary base is ignored",
        OPTION,
        net.replacing(rotary, "rotary_tables", lambda sound: lambda c, w, base, s: sound(c, w, 100.0, s)),
        case(),
    ),
    Planted(
        "the activation is ignored",
        OPTION,
        net.replacing(MLPLayer, "forward", lambda _: lambda self, x: self.down(F.relu(self.up(x)))),
        case(feedforward=MLP(activation="relu")),
    ),
    Planted(
        "the norm's epsilon is ignored",
        OPTION,
        net.replacing(norms.RMSNormLayer, "forward", lambda _: lambda self, x: norms.normalise(x)),
        case(),
    ),
    Planted(
        "the input is the target", PEEK, net.replacing(NextToken, "example", asked.peeking_at_itself(NextToken)), case()
    ),
    Planted(
        "labels shifted the wrong way", PEEK, net.replacing(next_token, "shifted", lambda _: asked.shifted_left), case()
    ),
    Planted("nothing is hidden", PEEK, net.replacing(Masked, "example", asked.peeking_at_itself(Masked)), case(FULL)),
    Planted(
        "one hidden cell is shown",
        PEEK,
        net.replacing(Masked, "example", asked.changed_example(asked.one_shown)),
        case(FULL),
    ),
    Planted(
        "the mask is an ordinary id",
        PEEK,
        net.replacing(Masked, "example", asked.changed_example(asked.mask_is_an_id)),
        case(FULL),
    ),
    Planted(
        "what is shown is asked too",
        PEEK,
        net.replacing(Masked, "example", asked.with_weights(torch.ones_like)),
        case(FULL),
    ),
    Planted(
        "cells that BERT shows are in the reported loss",
        PEEK,
        net.replacing(Bert, "example", asked.changed_example(asked.trained_is_reported)),
        case(FULL, layout=Grid(4, 6)),
    ),
    Planted(
        "the beginning of a prefix is the end of what is asked",
        PEEK,
        net.replacing(PrefixLM, "example", asked.changed_example(asked.one_to_the_left)),
        case(),
    ),
    Planted(
        "weights of one instead of n / m",
        learning.RANDOM,
        net.replacing(Masked, "example", asked.with_weights(lambda w: (w > 0).float())),
        case(FULL, vocabulary=5),
    ),
    Planted(
        "weights nine tenths of what they should be",
        learning.RANDOM,
        net.replacing(Masked, "example", asked.with_weights(lambda w: 0.9 * w)),
        case(FULL, vocabulary=5),
    ),
    Planted(
        "the loss is a mean over what is not asked",
        learning.RANDOM,
        lambda patch: patch.setattr(learning, "weighted_nats", asked.loss_of_all),
        case(FULL, vocabulary=5),
    ),
    Planted(
        "log_softmax over the positions",
        learning.RANDOM,
        lambda patch: patch.setattr(learning, "weighted_nats", asked.loss_over_positions),
        case(vocabulary=5),
    ),
    Planted(
        "labels one to the left, trained",
        learning.RANDOM,
        net.replacing(next_token, "shifted", lambda _: asked.shifted_left),
        case(vocabulary=5),
    ),
    Planted(
        "a parameter is missing from the optimiser",
        learning.HELD,
        net.replacing(parameters, "parts_of", asked.one_dropped),
        case(),
    ),
    Planted(
        "a parameter stands twice in the optimiser",
        learning.HELD,
        net.replacing(parameters, "parts_of", asked.one_twice),
        case(),
    ),
]
