"""The hybrid network against its formula; the laws ask the rest of it (tests/laws, behind ``dressed``)."""

import pytest
import torch

from semagram.errors import UserError
from semagram.experiment import Experiment
from semagram.layouts import Grid, Sequence, Visibility
from semagram.layouts.geometry import Geometry
from semagram.mixers import Attention
from semagram.models import Hybrid, Transformer
from semagram.models.hybrid import HybridNetwork
from semagram.objectives import Masked
from semagram.predictors import Unmasking
from semagram.training.parameters import Role, parts_of

CONFIG = Hybrid(Transformer(width=16, depth=1, mixer=Attention(heads=2)), orders=(1, 2, 4), main_order=2)
LAYOUT, V = Sequence(7), 5
GEOMETRY = Geometry.of(LAYOUT.positions(), Visibility.CAUSAL)


def network(seed: int = 0) -> HybridNetwork:
    torch.manual_seed(seed)
    return CONFIG.build(V, LAYOUT, Visibility.CAUSAL).eval()


def rows(seed: int = 1) -> torch.Tensor:
    noise = torch.randn(3, 7, 3, V, generator=torch.Generator().manual_seed(seed))
    return torch.log_softmax(noise, dim=-1)


def inputs(seed: int = 2) -> torch.Tensor:
    return torch.randint(0, V + 1, (3, 7), generator=torch.Generator().manual_seed(seed))


def test_it_begins_as_its_main_n_gram() -> None:
    """The head starts at 0, the gates at 1 for the main order and 0 for the others."""
    prior = rows()
    with torch.no_grad():
        said = torch.log_softmax(network()(inputs(), GEOMETRY, prior), dim=-1)
    assert torch.allclose(said, prior[:, :, 1], atol=1e-6)


def test_it_is_its_formula() -> None:
    net, prior = network(), rows()
    with torch.no_grad():
        for p in net.parameters():
            p.add_(torch.randn_like(p) * 0.1)
        seen = net.embedding_of_row((prior[:, :, 1] + 6) * 0.12)
        hidden = net.trunk.hidden(inputs(), GEOMETRY, seen)
        expected = net.trunk.logits(hidden).clone()
        gates = 0.5 * (hidden @ net.head_gates.weight.T + net.head_gates.bias)
        for k in range(3):
            expected += gates[:, :, k : k + 1] * prior[:, :, k]
        assert torch.allclose(net(inputs(), GEOMETRY, prior), expected, atol=1e-5)
        assert not torch.equal(net.trunk.hidden(inputs(), GEOMETRY), hidden), "the row is not seen"
        assert torch.equal(net(inputs(), GEOMETRY), net.trunk(inputs(), GEOMETRY)), "without rows it is the trunk"


def test_stepping_equals_the_parallel_pass() -> None:
    net, prior = network(), rows()
    with torch.no_grad():
        for p in net.parameters():
            p.add_(torch.randn_like(p) * 0.1)
        whole = net(inputs(), GEOMETRY, prior)
        state, found = net.new_state(3, GEOMETRY), []
        for begin, end in ((0, 1), (1, 4), (4, 7)):
            found.append(net.step(inputs()[:, begin:end], state, prior[:, begin:end]))
    assert torch.allclose(torch.cat(found, dim=1), whole, atol=1e-5)


def test_the_optimiser_knows_gates_as_head_and_rows_as_embedding() -> None:
    roles = {part.name: part.role for part in parts_of(network())}
    assert roles["head_gates.weight"] is Role.HEAD and roles["embedding_of_row.weight"] is Role.EMBEDDING
    assert roles["head_gates.bias"] is Role.OTHER and roles["trunk.blocks.0.mixer.inward.weight"] is Role.HIDDEN


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(UserError, match="FULL"):
        CONFIG.build(V, LAYOUT, Visibility.FULL)
    with pytest.raises(UserError, match="Masked"):
        Experiment(model=CONFIG, objective=Masked(), writing=Unmasking())
    with pytest.raises(UserError, match="Sequence"):
        Experiment(model=CONFIG, layout=Grid(2, 3))
    with pytest.raises(UserError, match="ascending"):
        Hybrid(orders=(3, 2))
    with pytest.raises(UserError, match="one of"):
        Hybrid(orders=(2, 3), main_order=4)
