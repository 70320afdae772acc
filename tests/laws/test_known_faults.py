"""Faults that probing found in a widely used library (x-transformers 2.31), and the tests that show ours free of them.

``SHOWN`` names a test for each fault; those that had none are below. The numbers are those of our notes:
X1 leaks, X2 a negative loss, X3 and X4 caches, X5 and X6 shapes, X7 copies, X8 preferences, X9 options that never work,
X10 and X11 a fused kernel that ignores options, X12 batches of prompts, X13 memory keys, X14 padding, X15 memories of
segments, X16 options that leak into cross-attention, X17 dropped or shared layers, X18 rollouts, X19 parameters
without a gradient, X20 swallowed options, X21 biases that overwrite each other, X22 documentation that does not run.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from laws import no_peeking, stepping
from laws.cases import Case, shaken
from semagram.config import members
from semagram.layouts import Sequence, Visibility
from semagram.layouts.geometry import Geometry
from semagram.mixers import Attention, Entmax15, Sigmoid, TopK, ValueResidual
from semagram.models import Transformer
from semagram.models.joins import DepthAttention, HyperConnections
from semagram.models.layers import Layers
from semagram.models.residual import Residual
from semagram.models.skips import UNetSkips
from semagram.objectives import Masked, weighted_nats

TESTS = Path(__file__).parents[1]
HERE = "laws/test_known_faults.py"
SHOWN: dict[str, tuple[str, ...]] = {
    "X1": (f"{HERE}::test_x1_no_residual_form_sees_the_future",),
    "X2": (
        f"{HERE}::test_x2_the_masked_loss_is_positive_and_learns",
        "laws/test_pipeline.py::test_the_masked_loss_is_a_mean_over_orders",
    ),
    "X3": (
        "mixers/test_attention_together.py::test_every_two_parts_compose_or_are_refused",
        "laws/test_networks.py::test_a_combination_of_parts_keeps_the_laws",
    ),
    "X4": ("mixers/test_attention_and_x_transformers.py::test_alibi_with_heads_that_are_no_power_of_two_and_rotary",),
    "X5": ("mixers/test_attention_together.py::test_value_residual",),
    "X6": ("mixers/test_attention_together.py::test_every_two_parts_compose_or_are_refused",),
    "X7": (
        "models/test_encoder_decoder.py::test_a_shared_table_is_one_parameter_and_a_copy_has_its_own",
        "laws/test_keeping.py::test_every_combination_is_saved_and_copied",
    ),
    "X8": (
        "training/test_preference.py::test_the_first_response_token_is_scored",
        "training/test_preference.py::test_loss_and_gradient_are_the_formulas",
    ),
    "X9": ("laws/test_options.py::test_a_field_of_a_network_does_something",),
    "X10": (
        f"{HERE}::test_x10_the_fused_kernel_ignores_no_option",
        "mixers/test_attention_together.py::test_the_fused_kernel_is_used_where_it_is_told",
    ),
    "X11": ("mixers/test_attention_together.py::test_a_configuration_tells_its_kernel",),
    "X12": (
        "laws/test_predictors.py::test_a_predictor_keeps_the_laws",
        "mixers/test_attention_weights.py::test_selection_counts_from_the_first_slot_that_is_no_padding",
    ),
    "X13": ("mixers/test_attention_together.py::test_memory_leaves_rotary_positions_what_they_are",),
    "X14": (
        "models/test_models_and_peers.py::test_encoder_with_a_mask",
        "laws/test_networks.py::test_a_combination_of_parts_keeps_the_laws",
    ),
    "X15": (
        "models/test_models_and_peers.py::test_memories_of_segments",
        "mixers/test_segments.py::test_it_is_attention_with_the_mask_that_it_stands_for",
    ),
    "X16": ("models/test_encoder_decoder.py::test_self_attention_options_do_not_reach_the_cross_attention",),
    "X17": (f"{HERE}::test_x17_dropped_and_shared_layers_beside_what_reads_earlier_ones",),
    "X18": ("models/test_vision_and_vectors.py::test_a_rollout_keeps_its_whole_context",),
    "X19": (
        "laws/test_learning.py::test_every_parameter_learns",
        "laws/test_by_hand.py::test_every_parameter_gets_a_gradient",
    ),
    "X20": ("models/test_encoder_decoder.py::test_an_unknown_option_is_an_error",),
    "X21": (
        "mixers/test_attention_together.py::test_forgetting_adds_to_every_other_bias",
        "mixers/test_attention_and_x_transformers.py::test_forgetting_and_a_bias_of_the_callers_add_up",
    ),
    "X22": ("test_docs.py::test_the_blocks_run", "test_toolbox.py::test_a_row_of_the_toolbox"),
}


@pytest.mark.parametrize("fault", [f"X{i}" for i in range(1, 23)])
def test_each_fault_has_a_test(fault: str) -> None:
    for named in SHOWN[fault]:
        path, test = named.split("::")
        assert f"def {test}(" in (TESTS / path).read_text("utf-8"), f"{fault}: {named} is gone"


def every_residual_form() -> list[Residual]:
    """Each join and each scale of the unions, beside the defaults and with norms on the output."""
    import typing

    hints = typing.get_type_hints(Residual)
    forms = [Residual(join=kind()) for kind in members(hints["join"])]
    return forms + [Residual(norms="sandwich", scale=kind()) for kind in members(hints["scale"])]


@pytest.mark.parametrize(
    "form", every_residual_form(), ids=lambda f: f"{type(f.join).__name__}-{type(f.scale).__name__}"
)
def test_x1_no_residual_form_sees_the_future(form: Residual) -> None:
    """There, projections and means over the whole sequence let a decoder see what comes."""
    case = Case(Transformer(16, 2, residual=form), Sequence(7), Visibility.CAUSAL, 5)
    network = case.network()
    no_peeking.check(network, case)
    stepping.check(network, case)


def test_x2_the_masked_loss_is_positive_and_learns() -> None:
    """There, the default weight has the wrong sign: losses of -7 and worse, and training makes the model worse."""
    torch.manual_seed(0)
    case = Case(Transformer(16, 1), Sequence(6), Visibility.FULL, 4)
    network, geometry, losses = case.fresh(), case.geometry(), []
    texts = torch.tensor([[0, 0, 0, 1, 0, 0], [0, 3, 0, 0, 0, 0]]).repeat(8, 1)
    optimiser = torch.optim.Adam(network.parameters(), lr=0.02)
    generator = torch.Generator().manual_seed(1)
    hidden = torch.full_like(texts, 4)
    before = all_masked(network, hidden, texts, geometry)
    for _ in range(60):
        example = Masked().example(texts, geometry, 4, generator)
        loss = weighted_nats(network(example.inputs, geometry), example)
        losses.append(float(loss.detach()))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert min(losses) >= 0.0
    assert all_masked(network, hidden, texts, geometry) < before - 0.3
    assert sum(losses[-10:]) < sum(losses[:10]) * 0.7


def all_masked(network: Any, hidden: torch.Tensor, texts: torch.Tensor, geometry: Geometry) -> float:
    """Cross-entropy where nothing is shown."""
    with torch.no_grad():
        return float(torch.nn.functional.cross_entropy(network(hidden, geometry).flatten(0, 1), texts.flatten()))


@pytest.mark.parametrize(
    "parts",
    [{"weights": TopK(2)}, {"weights": Entmax15()}, {"weights": Sigmoid()}, {"score_cap": 0.3}, {"selective": True}],
    ids=str,
)
def test_x10_the_fused_kernel_ignores_no_option(parts: dict[str, Any]) -> None:
    """There, a fused kernel answers as if Gumbel weights or a function of one's own had not been asked for."""
    torch.manual_seed(0)
    plain, changed = Attention(4).build(16), Attention(4, **parts)
    other = changed.build(16)
    other.load_state_dict(plain.state_dict(), strict=False)
    x, line = torch.randn(2, 9, 16), Geometry.line(9, Visibility.CAUSAL)
    assert not torch.allclose(plain(x, line), other(x, line), atol=1e-3)
    assert changed.kernel().name == "scores" and changed.kernel().reasons


WHAT_READS_EARLIER = [
    Transformer(16, 3, residual=Residual(join=DepthAttention(3), drop=0.5)),
    Transformer(16, 3, residual=Residual(join=DepthAttention()), layers=Layers(distinct=1)),
    Transformer(16, 3, residual=Residual(join=HyperConnections(2), drop=0.5), layers=Layers(distinct=2)),
    Transformer(16, 4, residual=Residual(drop=0.5), layers=Layers(distinct=2, skips=UNetSkips())),
    Transformer(16, 3, mixer=Attention(value_residual=ValueResidual()), residual=Residual(drop=0.5)),
]


@pytest.mark.parametrize("model", WHAT_READS_EARLIER, ids=range(len(WHAT_READS_EARLIER)))
def test_x17_dropped_and_shared_layers_beside_what_reads_earlier_ones(model: Transformer) -> None:
    """There, whoever expects one hidden a layer crashes where a layer is dropped or shared."""
    case = Case(model, Sequence(7), Visibility.CAUSAL, 5)
    network = shaken(case.fresh()).train()
    for _ in range(3):
        assert bool(network(case.inputs(), case.geometry()).isfinite().all())
    network.eval()
    no_peeking.check(network, case)
    stepping.check(network, case)
