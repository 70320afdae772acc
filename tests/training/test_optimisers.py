"""Optimisers: every parameter once, the right groups, Muon as torch's."""

import pytest
import torch
from torch import nn

from semagram.errors import UserError
from semagram.feedforward import MLP, Gated, LayerNorm
from semagram.layouts import Sequence, Visibility
from semagram.layouts.geometry import Geometry
from semagram.mixers import Attention, Convolution
from semagram.models import Transformer
from semagram.training.muon import newton_schulz, newton_schulz_reference
from semagram.training.optimisers import AdamW, Muon
from semagram.training.parameters import Role, parts_of
from training.tiny_runs import experiment

MODELS = [
    Transformer(width=16, depth=2, mixer=mixer, feedforward=feedforward, tied=tied)
    for mixer in (Attention(heads=2), Attention(heads=2, key_value_heads=1), Convolution())
    for feedforward in (MLP(), Gated())
    for tied in (False, True)
]


def build(model):
    torch.manual_seed(0)
    return model.build(11, Sequence(8), Visibility.CAUSAL)


@pytest.mark.parametrize("optimiser", [AdamW(), Muon()], ids=["adamw", "muon"])
@pytest.mark.parametrize("model", MODELS, ids=str)
def test_every_parameter_is_held_exactly_once_and_moves(model, optimiser):
    network = build(model)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    stepper = optimiser.build(network)
    assert sorted(map(id, stepper.parameters)) == sorted(map(id, network.parameters()))
    before = [p.detach().clone() for p in network.parameters()]
    ids = torch.randint(11, (4, 8))
    logits = network(ids, Geometry.of(Sequence(8).positions(), Visibility.CAUSAL))
    nn.functional.cross_entropy(logits.flatten(0, 1), ids.flatten()).backward()
    stepper.step(1.0)
    for (name, parameter), old in zip(network.named_parameters(), before, strict=True):
        assert not torch.equal(parameter, old), name


def test_roles_are_told_by_the_owner():
    parts = parts_of(build(Transformer(width=16, depth=2, mixer=Attention(heads=2), norm=LayerNorm())))
    roles = {part.name: part.role for part in parts}
    assert roles["head.weight"] is Role.HEAD
    assert roles["embedding.weight"] is Role.EMBEDDING
    assert roles["norm.gain"] is Role.OTHER and roles["blocks.0.mixer_norm.gain"] is Role.OTHER
    assert roles["blocks.1.mixer.inward.weight"] is Role.HIDDEN
    rows = {part.name: part.rows for part in parts}
    assert rows["blocks.1.mixer.inward.weight"] == (16, 16, 16) and rows["blocks.1.mixer.outward.weight"] == (16,)


def test_a_gain_with_two_axes_is_no_matrix():
    module = nn.Module()
    module.register_parameter("gain", nn.Parameter(torch.ones(4, 8)))
    assert [part.role for part in parts_of(module)] == [Role.OTHER]


def test_weight_decay_acts_on_matrices_only():
    network = build(MODELS[0])
    stepper = AdamW(rate=0.1, weight_decay=0.5).build(network)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.fill_(1.0)
            parameter.grad = torch.zeros_like(parameter)
    stepper.step(1.0)
    for part in parts_of(network):
        decayed = part.role in (Role.HIDDEN, Role.HEAD)
        assert torch.allclose(part.parameter, torch.full_like(part.parameter, 0.95 if decayed else 1.0)), part.name


@pytest.mark.parametrize("shape", [(3, 16, 16), (2, 24, 8), (1, 5, 3), (2, 7, 1)])
def test_the_gram_iteration_equals_its_definition(shape):
    matrices = torch.randn(shape, dtype=torch.float64)
    for steps in (1, 2, 5):
        assert torch.allclose(newton_schulz(matrices, steps), newton_schulz_reference(matrices, steps), atol=1e-10)
    # In float32 too, for a matrix that is nearly singular.
    nearly = torch.randn(1, 64, 16) @ torch.diag(torch.logspace(0, -4, 16))
    assert torch.allclose(newton_schulz(nearly, 5), newton_schulz_reference(nearly.double(), 5).float(), atol=5e-3)


def test_zero_gradients_leave_the_weights_alone():
    assert torch.equal(newton_schulz(torch.zeros(2, 8, 4), 5), torch.zeros(2, 8, 4))
    assert torch.equal(newton_schulz(torch.zeros(2, 4, 4), 5), torch.zeros(2, 4, 4))


class OneMatrix(nn.Module):
    def __init__(self, rows, columns):
        super().__init__()
        self.map = nn.Linear(columns, rows, bias=False)


@pytest.mark.parametrize("shape", [(32, 32), (64, 16), (16, 64)])
def test_two_steps_agree_with_torch_up_to_its_bfloat16(shape):
    """torch.optim.Muon iterates in bfloat16, and scales wide matrices by 1 where we scale by longer / shorter."""
    scale = (max(shape) / min(shape)) ** 0.5 / max(1.0, shape[0] / shape[1]) ** 0.5
    torch.manual_seed(0)
    ours, theirs = OneMatrix(*shape), OneMatrix(*shape)
    theirs.load_state_dict(ours.state_dict())
    stepper = Muon(rate=0.1, momentum=0.9, weight_decay=0.0).build(ours)
    peer = torch.optim.Muon(theirs.parameters(), lr=0.1, momentum=0.9, weight_decay=0.0, adjust_lr_fn="original")
    for _ in range(2):
        before = ours.map.weight.detach().clone()
        gradient = torch.randn(shape)
        ours.map.weight.grad, theirs.map.weight.grad = gradient.clone(), gradient.clone()
        stepper.step(1.0)
        peer.step()
        moved, moved_there = (ours.map.weight - before) / scale, theirs.map.weight - before
        difference = (moved - moved_there).norm() / moved_there.norm()
        assert difference < 0.03
        theirs.load_state_dict(ours.state_dict())


def test_stacked_weights_are_orthogonalised_matrix_by_matrix():
    network = build(Transformer(width=16, depth=1, mixer=Attention(heads=2)))
    stepper = Muon(rate=1.0).build(network)
    torch.manual_seed(1)
    for parameter in network.parameters():
        parameter.grad = torch.randn_like(parameter)
    weight = network.blocks[0].mixer.inward.weight
    before, gradient = weight.detach().clone(), weight.grad.clone()
    stepper.step(1.0)
    for rows in (slice(0, 16), slice(16, 32), slice(32, 48)):
        expected = newton_schulz_reference(gradient[rows][None], 5)[0]
        assert torch.allclose(before[rows] - weight[rows], expected, atol=1e-4)


@pytest.mark.parametrize("optimiser", [AdamW(), Muon()], ids=["adamw", "muon"])
def test_state_goes_out_and_back(optimiser):
    def stepped(network, stepper, seed):
        torch.manual_seed(seed)
        for parameter in network.parameters():
            parameter.grad = torch.randn_like(parameter)
        stepper.step(0.5)

    network = build(MODELS[0])
    stepper = optimiser.build(network)
    stepped(network, stepper, 1)
    state = {name: t.clone() for name, t in stepper.state().items()}
    twin = build(MODELS[0])
    twin.load_state_dict(network.state_dict())
    again = optimiser.build(twin)
    again.restore(state)
    stepped(network, stepper, 2)
    stepped(twin, again, 2)
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), twin.parameters(), strict=True))
    with pytest.raises(ValueError, match=r"no state called adam\.elsewhere"):
        again.restore({**state, "adam.elsewhere.step": torch.zeros(())})


def test_nonsense_settings_are_refused():
    for make in (lambda: AdamW(rate=0), lambda: Muon(momentum=1.0), lambda: AdamW(beta2=-0.1), lambda: Muon(steps=0)):
        with pytest.raises(UserError, match=r"training\.optimiser"):
            make()
    assert experiment().training.optimiser == Muon()


def test_muon_decays_hidden_matrices():
    network = OneMatrix(4, 8)
    before = network.map.weight.detach().clone()
    network.map.weight.grad = torch.zeros(4, 8)
    Muon(rate=0.1, weight_decay=0.5).build(network).step(1.0)
    assert torch.allclose(network.map.weight, before * 0.95)
