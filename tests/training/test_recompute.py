"""Activation checkpointing keeps less and changes nothing; the share of the machine's arithmetic that is used."""

import json

import pytest
import torch

from semagram.errors import UserError
from semagram.layouts import Sequence, Visibility
from semagram.layouts.geometry import Geometry
from semagram.mixers import Attention, StateSpace
from semagram.models import Hierarchical, Level, Page, Transformer, Window
from semagram.models.layers import Layers
from semagram.models.residual import Residual
from semagram.models.reversible import Reversible
from semagram.models.summary import summary
from semagram.training import train
from semagram.training.recompute import blocks_of, recompute, undo
from semagram.training.utilisation import forward_flops, measured_peak
from training.tiny_runs import experiment, words

N, V = 24, 11
MODELS = {
    "transformer": Transformer(width=16, depth=3, mixer=Attention(heads=2), dropout=0.3),
    "state space, looped": Transformer(width=16, depth=2, mixer=StateSpace(heads=2, state=4), layers=Layers(loops=2)),
    "levels": Hierarchical(width=16, depth=2, levels=(Level(width=16, window=8), Level(factor=4, stride=4, width=16))),
    "page": Page(width=16, depth=3),
}


def built(model, visibility=Visibility.CAUSAL):
    torch.manual_seed(0)
    network = model.build(V, Sequence(N), visibility)
    for parameter in network.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    return network.train(), Geometry.of(Sequence(N).positions(), visibility)


def kept_bytes_and_gradients(network, geometry):
    """What autograd holds after the forward pass, each storage once, and the gradients of a loss."""
    held: dict[int, int] = {}

    def pack(tensor):
        held[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    torch.manual_seed(3)
    ids = torch.randint(V, (4, N), generator=torch.Generator().manual_seed(1))
    own = {p.untyped_storage().data_ptr() for p in network.parameters()}
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = network(ids, geometry).square().mean()
    loss.backward()
    gradients = [p.grad.clone() if p.grad is not None else None for p in network.parameters()]
    network.zero_grad()
    return sum(size for place, size in held.items() if place not in own), loss.item(), gradients


@pytest.mark.parametrize("name", MODELS)
def test_less_is_kept_and_the_gradients_are_the_same_to_the_bit(name):
    network, geometry = built(MODELS[name])
    kept, loss, gradients = kept_bytes_and_gradients(network, geometry)
    blocks = recompute(network)
    less, again, found = kept_bytes_and_gradients(network, geometry)
    assert again == loss and less < 0.6 * kept, (less, kept)
    assert all(torch.equal(a, b) for a, b in zip(gradients, found, strict=True) if a is not None)
    names = list(network.state_dict())
    undo(blocks)
    assert names == list(network.state_dict()) and not any("forward" in vars(block) for block in blocks)
    assert kept_bytes_and_gradients(network, geometry)[0] > 0.9 * kept


def test_a_block_inside_a_block_is_one_block():
    network, _ = built(MODELS["transformer"])
    assert len(blocks_of(network)) == 3


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (Window(context=4, width=8), "this WindowNetwork has no blocks"),
        (Transformer(width=16, depth=2, residual=Residual(join=Reversible())), "reversible blocks, which keep nothing"),
    ],
)
def test_networks_that_it_cannot_help_are_refused(model, said):
    with pytest.raises(UserError, match=said):
        recompute(built(model)[0])


def test_operations_are_those_of_the_summary():
    network, geometry = built(MODELS["transformer"])
    counted = forward_flops(network, geometry)
    causal = summary(network, Sequence(N)).flops / N
    # Torch counts every pair that attention multiplies, the summary those that are looked at.
    pairs = 3 * 4 * (N * N - N * (N + 1) / 2) * 16 / N
    assert counted == pytest.approx(causal + pairs, rel=1e-6) and network.training
    assert measured_peak(torch.device("cpu")) > 0


def test_utilisation_is_logged_where_a_peak_is_given(tmp_path):
    run = train(experiment(steps=4, peak_tflops=0.5), words(), tmp_path / "run").run
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    for line in (line for line in lines if "train_nats" in line):
        assert line["utilisation"] == pytest.approx(line["tflops_per_second"] / 0.5)
        assert 0 < line["utilisation"] < 1
    half, whole = (line["tflops_per_second"] / line["tokens_per_second"] for line in (lines[0], lines[-2]))
    assert half < whole  # the first steps are on halved lines, whose attention costs less
    with pytest.raises(UserError, match="peak_tflops must be above 0, measured or none"):
        experiment(peak_tflops=-1.0)
