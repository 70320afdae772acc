"""State spaces against Hugging Face's Mamba and Mamba2 with copied weights; constant memory and cost of a step."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from laws.cases import shaken
from laws.stepping import close, gap
from semagram.errors import UserError
from semagram.feedforward import RMSNorm
from semagram.feedforward import basis as bases
from semagram.layouts import Sequence, Visibility
from semagram.layouts.geometry import Geometry
from semagram.mixers import SelectiveScan, StateSpace
from semagram.mixers.selective_scan import reference, scan
from semagram.mixers.state_space import chunked
from semagram.models import Transformer

V, WIDTH, LENGTH = 11, 24, 45
LAYOUT = Sequence(LENGTH)


def geometry(n: int) -> Geometry:
    return Geometry.of(Sequence(n).positions(), Visibility.CAUSAL)


def ours(mixer: Any) -> Any:
    """A stack of mixers alone: feedforwards that add nothing."""
    torch.manual_seed(0)
    config = Transformer(
        width=WIDTH, depth=2, mixer=mixer, norm=RMSNorm(gain=True, epsilon=1e-5), shift=None, logit_cap=None
    )
    network = shaken(config.build(V, LAYOUT, Visibility.CAUSAL)).eval()
    for block in network.blocks:
        block.feedforward.down.weight.data.zero_()
    return network


def copied(pairs: list[tuple[Tensor, Tensor]]) -> None:
    for theirs, mine in pairs:
        assert theirs.shape == mine.shape
        theirs.data.copy_(mine.data)


def compared(network: Any, model: Any, pairs: list[Any], ids: Tensor) -> None:
    """Hidden states before the head, and the gradients of everything that was copied."""
    own = network.hidden(ids, geometry(ids.shape[1]))
    table = network.embedding_norm(network.embedding.weight).detach()
    theirs = model(inputs_embeds=table[ids]).last_hidden_state
    assert close(theirs, own, 2e-5), gap(theirs, own)
    cotangent = torch.randn(own.shape, generator=torch.Generator().manual_seed(1))
    own.backward(cotangent)
    theirs.backward(cotangent)
    for their, read in pairs:
        a, b = their.grad, read()
        assert close(a, b, 1e-4), f"{tuple(a.shape)}: {gap(a, b)}"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("length", [1, 7, LENGTH])
def test_mamba2_of_hugging_face(length: int, count) -> None:
    transformers = pytest.importorskip("transformers")
    heads, state = 4, 6
    network = ours(StateSpace(heads=heads, expand=2.0, state=state, kernel=4))
    settings = transformers.Mamba2Config(
        vocab_size=V, hidden_size=WIDTH, num_hidden_layers=2, num_heads=heads, head_dim=2 * WIDTH // heads,
        state_size=state, n_groups=1, expand=2, conv_kernel=4, layer_norm_epsilon=1e-5, chunk_size=16,
    )  # fmt: skip
    model = transformers.Mamba2Model(settings).eval()
    pairs: list[Any] = []
    for layer, block in zip(model.layers, network.blocks, strict=True):
        them, me = layer.mixer, block.mixer
        copied(
            [
                (layer.norm.weight, block.mixer_norm.gain), (them.in_proj.weight, me.inward.weight),
                (them.conv1d.weight, me.taps.flip(0).T[:, None]), (them.conv1d.bias, me.taps_bias),
                (them.dt_bias, me.step_bias), (them.A_log, me.decay_log), (them.D, me.skip),
                (them.norm.weight, me.gain), (them.out_proj.weight, me.outward.weight),
            ]
        )  # fmt: skip
        pairs += [
            (them.in_proj.weight, lambda m=me: m.inward.weight.grad),
            (them.conv1d.weight, lambda m=me: m.taps.grad.flip(0).T[:, None]),
            (them.dt_bias, lambda m=me: m.step_bias.grad),
            (them.A_log, lambda m=me: m.decay_log.grad),
            (them.D, lambda m=me: m.skip.grad),
            (them.norm.weight, lambda m=me: m.gain.grad),
            (them.out_proj.weight, lambda m=me: m.outward.weight.grad),
        ]
    copied([(model.norm_f.weight, network.norm.gain)])
    compared(network, model, pairs, torch.randint(0, V, (2, length)))
    count("peers reproduced: values and gradients")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("length", [1, 7, LENGTH])
def test_mamba_of_hugging_face(length: int, count) -> None:
    transformers = pytest.importorskip("transformers")
    network = ours(SelectiveScan(expand=2.0, state=5, rank=3, kernel=4))
    settings = transformers.MambaConfig(
        vocab_size=V, hidden_size=WIDTH, num_hidden_layers=2, state_size=5, expand=2, conv_kernel=4, time_step_rank=3,
        layer_norm_epsilon=1e-5,
    )  # fmt: skip
    model = transformers.MambaModel(settings).eval()
    pairs: list[Any] = []
    for layer, block in zip(model.layers, network.blocks, strict=True):
        them, me = layer.mixer, block.mixer
        copied(
            [
                (layer.norm.weight, block.mixer_norm.gain), (them.in_proj.weight, me.inward.weight),
                (them.conv1d.weight, me.taps.flip(0).T[:, None]), (them.conv1d.bias, me.taps_bias),
                (them.x_proj.weight, me.selection.weight), (them.dt_proj.weight, me.steps.weight),
                (them.dt_proj.bias, me.step_bias), (them.A_log, me.decay_log), (them.D, me.skip),
                (them.out_proj.weight, me.outward.weight),
            ]
        )  # fmt: skip
        pairs += [
            (them.in_proj.weight, lambda m=me: m.inward.weight.grad),
            (them.x_proj.weight, lambda m=me: m.selection.weight.grad),
            (them.dt_proj.weight, lambda m=me: m.steps.weight.grad),
            (them.dt_proj.bias, lambda m=me: m.step_bias.grad),
            (them.A_log, lambda m=me: m.decay_log.grad),
            (them.D, lambda m=me: m.skip.grad),
            (them.out_proj.weight, lambda m=me: m.outward.weight.grad),
        ]
    copied([(model.norm_f.weight, network.norm.gain)])
    compared(network, model, pairs, torch.randint(0, V, (2, length)))
    count("peers reproduced: values and gradients")


@pytest.mark.parametrize("mixer", [StateSpace(heads=2), SelectiveScan()], ids=lambda m: type(m).__name__)
def test_the_state_is_as_small_at_the_end_as_at_the_beginning(mixer: Any) -> None:
    torch.manual_seed(0)
    module = mixer.build(8).eval()
    states = [module.new_state(2, capacity) for capacity in (4, 4000)]
    assert [s.memory.shape for s in states] == [states[0].memory.shape] * 2
    place = states[0].memory.data_ptr(), states[0].recent.data_ptr()
    with torch.no_grad():
        for _ in range(5):
            module.step(torch.randn(2, 1, 8), geometry(1), states[0])
        module.step(torch.randn(2, 3, 8), geometry(3), states[0])
    assert (states[0].memory.data_ptr(), states[0].recent.data_ptr()) == place
    assert states[0].length == 8


def test_a_long_memory_neither_fades_nor_explodes() -> None:
    """1,000 slots without decay: the sum; with a strong one: the last slot alone; no overflow on the way."""
    n = 1000
    x, keys = torch.randn(1, n, 1, 2), torch.ones(1, n, 1)
    kept, _ = chunked(x, torch.zeros(1, n, 1), keys, keys)
    assert torch.allclose(kept[:, -1], x.sum(1), atol=1e-3)
    gone, _ = chunked(x, torch.full((1, n, 1), -200.0), keys, keys)
    assert torch.allclose(gone, x, atol=1e-6)


def kept_floats(function: Any, arguments: list[Tensor]) -> int:
    total = 0

    def pack(t: Tensor) -> Tensor:
        nonlocal total
        total += t.numel()
        return t

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        function(*arguments)
    return total


def test_the_scan_keeps_few_states() -> None:
    n, e, s = 64, 8, 16
    arguments = [torch.randn(1, n, e), torch.rand(1, n, e), -torch.rand(e, s), torch.randn(1, n, s)]
    arguments = [a.requires_grad_() for a in (*arguments, torch.randn(1, n, s))]
    own, naive = kept_floats(scan, arguments), kept_floats(reference, arguments)
    inputs = sum(a.numel() for a in arguments)
    assert own <= inputs + (n // 16) * e * s
    assert naive > 5 * own


def test_the_first_steps_are_spread_over_their_range() -> None:
    torch.manual_seed(0)
    module = SelectiveScan().build(256)
    steps = torch.nn.functional.softplus(module.step_bias.detach())
    assert 0.0009 < float(steps.min()) < 0.002 and 0.05 < float(steps.max()) < 0.11


@pytest.mark.parametrize("kind", [StateSpace, SelectiveScan])
def test_functions_on_the_links_of_the_projections(kind: Any) -> None:
    """They are other networks, and their gradients are those of autograd in float64."""
    torch.manual_seed(0)
    module = kind(links=bases.Continuous(2, 2), expand=1.0).build(8).double()
    x = torch.randn(1, 5, 8, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: module(x, geometry(5)), (x,), atol=1e-6)


def test_sizes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(UserError, match=r"inner width 20 \(2\.0 x 10\) is not divisible by 3 heads"):
        StateSpace(heads=3).build(10)
