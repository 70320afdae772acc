"""Layers that grow while they are trained, to the number; AdaHessian by its formula, through the whole step."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from semagram.errors import UserError
from semagram.experiment import Experiment
from semagram.feedforward import Piecewise
from semagram.feedforward.basis import BSpline, Continuous, Discontinuous
from semagram.layouts import Sequence, Visibility
from semagram.layouts.geometry import Geometry
from semagram.mixers import Attention
from semagram.models import Transformer, Window
from semagram.trained import load
from semagram.training import SaveEvery, train
from semagram.training import run as runs
from semagram.training.budget import Budget
from semagram.training.growth import Growing, carried_state
from semagram.training.optimisers import AdaHessian, AdamW, Lion, Optimiser
from semagram.training.settings import Training
from semagram.training.stages import Growth

TEXT = "the ring of ink and the ink of time is a ring that ends where it began. " * 12
GROW = Growth(at=(0.25, 0.5), orders=(1, 2), segments=(1, 2))


def grown(optimiser: Optimiser | None = None, **settings: Any) -> Experiment:
    return Experiment(
        layout=Sequence(16),
        model=Window(context=4, width=8, hidden=1, links=Continuous(order=3, segments=4)),
        training=Training(
            budget=Budget(12, "steps"),
            batch=4,
            threads=1,
            optimiser=optimiser or AdamW(rate=3e-3),
            grow=GROW,
            **settings,
        ),
    )


@pytest.mark.parametrize(("links", "optimiser"), [(Discontinuous(3, 4), AdamW()), (Continuous(3, 4), Lion())], ids=str)
def test_nothing_moves_at_the_moment_of_growth(optimiser: Optimiser, links: Any) -> None:
    torch.manual_seed(0)
    network = Window(context=4, width=8, hidden=1, links=links).build(7, Sequence(16), Visibility.CAUSAL).double()
    growing = Growing(network, GROW)
    growing.to(0)
    stepper = optimiser.build(network)
    geometry = Geometry.of(Sequence(16).positions(), Visibility.CAUSAL)
    ids = torch.randint(0, 7, (3, 16))

    def step(network: nn.Module, stepper: Any) -> None:
        nn.functional.cross_entropy(network(ids, geometry).flatten(0, 1), ids.flatten()).backward()
        stepper.step(1.0)
        stepper.forget_gradients()

    for stage in (1, 2):
        for _ in range(3):
            step(network, stepper)
        before, count = network(ids, geometry), sum(p.numel() for p in network.parameters())
        state = stepper.state()
        matrices = growing.to(stage)
        stepper = optimiser.build(network)
        stepper.restore(carried_state(state, matrices))
        assert sum(p.numel() for p in network.parameters()) > count
        assert torch.allclose(network(ids, geometry), before, atol=1e-12)
        # The means that the optimiser keeps are those of the same functions: T times the old.
        name, (matrix, inputs) = next(iter(matrices.items()))
        old, new = state[f"adam.{name}.exp_avg"], stepper.state()[f"adam.{name}.exp_avg"]
        assert torch.allclose(new, torch.einsum("wv,vio->wio", matrix, old.unflatten(0, (-1, inputs))).flatten(0, 1))
    assert all(m.config == links for m in network.modules() if hasattr(m, "fitting"))


def test_a_run_grows_is_resumed_to_the_bit_and_loads_as_the_model_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stages = []
    gradient = runs.Run.gradient
    monkeypatch.setattr(runs.Run, "gradient", lambda self: (gradient(self), stages.append(self.progress.stage))[0])
    experiment = grown()
    whole = train(experiment, TEXT, tmp_path / "whole")
    assert stages == [0] * 3 + [1] * 3 + [2] * 6
    assert load(tmp_path / "whole").parameters == sum(p.numel() for p in whole.network.parameters())

    count = runs.Run.count
    for stop in (2, 7):  # killed before the first growth, and after the second

        def killed(self: Any, *arguments: Any, stop: int = stop) -> None:
            count(self, *arguments)
            if self.progress.step == stop + 1:
                raise RuntimeError("killed")

        with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="killed"):
            patch.setattr(runs.Run, "count", killed)
            train(experiment, TEXT, tmp_path / str(stop), save=SaveEvery(steps=1))
        again = train(experiment, TEXT, tmp_path / str(stop), resume=True)
        for a, b in zip(whole.network.state_dict().values(), again.network.state_dict().values(), strict=True):
            assert torch.equal(a, b)


def test_a_run_that_ends_early_is_what_the_model_says(tmp_path: Path) -> None:
    told = iter([1.0, 2.0, 2.0, 2.0, 2.0])
    experiment = grown(patience=1, evaluate_every=0.1)
    result = train(experiment, TEXT, tmp_path / "run", evaluate=lambda network: next(told))
    assert result.ended == "patience" and result.step < 4
    assert load(tmp_path / "run").parameters == sum(p.numel() for p in result.network.parameters())


def test_what_cannot_grow_is_refused(tmp_path: Path) -> None:
    nothing = {"at": (0.5,), "orders": ()}
    for given in ({"at": (0.5, 0.2)}, nothing, {"at": (0.5,), "orders": (1, 2)}, {"at": (), "orders": ()}):
        with pytest.raises(UserError, match=r"training\.grow"):
            Growth(**given)
    with pytest.raises(UserError, match="not Muon's"):
        Training(grow=GROW)
    spline = replace(grown(), model=Window(context=4, width=8, links=BSpline(3, 4)))
    for experiment, said in (
        (replace(grown(), model=Window(context=4, width=8, links=Continuous(2, 5))), "cannot say all"),
        (replace(spline, training=replace(spline.training, grow=Growth((0.5,), orders=(2,)))), "cannot say all"),
        (replace(grown(), model=Window(context=4, width=8, links=None)), "has none"),
    ):
        with pytest.raises(UserError, match=said):
            train(experiment, TEXT, tmp_path / said[:4])


def test_adahessian_divides_by_the_curvature() -> None:
    """Of a quadratic with a diagonal Hessian, which Hutchinson's estimate knows exactly."""
    pytest.importorskip("pytorch_optimizer")
    curvature = torch.tensor([[4.0, 0.5], [1.0, 9.0]])
    layer = nn.Linear(2, 2, bias=False)
    w = layer.weight.detach().clone()
    stepper = AdaHessian(rate=0.1, beta1=0.5, beta2=0.9).build(layer)
    mean, square = torch.zeros(2, 2), torch.zeros(2, 2)
    for n in range(1, 5):
        loss = 0.5 * (curvature * layer.weight.square()).sum()
        (layer.weight.grad,) = torch.autograd.grad(loss, layer.weight, create_graph=True)
        stepper.step(1.0)
        stepper.forget_gradients()
        mean = 0.5 * mean + 0.5 * curvature * w
        square = 0.9 * square + 0.1 * curvature.square()
        w = w - 0.1 / (1 - 0.5**n) * mean / ((square / (1 - 0.9**n)).sqrt() + 1e-8)
        assert torch.allclose(layer.weight, w, atol=1e-5)


@pytest.mark.parametrize("kind", ["window", "transformer"])
def test_adahessian_trains_and_resumes_to_the_bit(kind: str, tmp_path: Path) -> None:
    pytest.importorskip("pytorch_optimizer")
    links = Continuous(2, 2)
    model: Any = {
        "window": Window(context=4, width=8, hidden=1, links=links),
        "transformer": Transformer(width=8, depth=1, mixer=Attention(heads=2), feedforward=Piecewise(links)),
    }[kind]
    settings = Training(budget=Budget(12, "steps"), batch=4, threads=1, optimiser=AdaHessian(), clip=0.5, accumulate=2)
    experiment = Experiment(layout=Sequence(16), model=model, training=settings)
    whole = train(experiment, TEXT, tmp_path / "whole")
    assert whole.held_out_nats is not None and whole.held_out_nats < 2.85
    seen = []

    def stop(network: nn.Module) -> float:
        seen.append(1)
        if len(seen) == 3:
            raise RuntimeError("killed")
        return 1.0

    with pytest.raises(RuntimeError, match="killed"):
        train(experiment, TEXT, tmp_path / "killed", evaluate=stop, save=SaveEvery(steps=1))
    again = train(experiment, TEXT, tmp_path / "killed", resume=True)
    for a, b in zip(whole.network.state_dict().values(), again.network.state_dict().values(), strict=True):
        assert torch.equal(a, b)
