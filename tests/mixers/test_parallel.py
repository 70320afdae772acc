"""Two mixers side by side: the sum of their normalised answers, whole and in chunks."""

from __future__ import annotations

import pytest
import torch

from laws.stepping import close
from semagram.layouts import Visibility
from semagram.layouts.geometry import Geometry
from semagram.mixers import Attention, Convolution, Parallel, SelectiveScan, StateSpace, TokenShift, Window

BESIDE = [StateSpace(heads=2, state=4), SelectiveScan(state=3, rank=2), Convolution(3), TokenShift()]


@pytest.mark.parametrize("beside", BESIDE, ids=lambda b: type(b).__name__)
def test_it_is_the_mean_of_two_normalised_answers(beside: object) -> None:
    torch.manual_seed(0)
    config = Parallel(Attention(4, reach=Window(4)), beside)  # type: ignore[arg-type]
    mixer = config.build(16)
    with torch.no_grad():
        for parameter in mixer.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    x, line = torch.randn(2, 11, 16), Geometry.line(11, Visibility.CAUSAL)
    parts = [m(x, line) for m in (mixer.first, mixer.second)]
    scaled = [p / p.square().mean(-1, keepdim=True).sqrt() * g for p, g in zip(parts, mixer.gains, strict=True)]
    wanted = mixer.outward(sum(scaled) / 2)
    assert close(mixer(x, line), wanted, 1e-4)
    state, told = mixer.new_state(2, 11), []
    with torch.no_grad():
        for start, stop in ((0, 1), (1, 6), (6, 7), (7, 11)):
            told.append(mixer.step(x[:, start:stop], line.narrow(start, stop - start), state))
    assert state.length == 11 and close(torch.cat(told, dim=1), wanted, 1e-4)


def test_a_context_of_both_ends_needs_both_to_look_there() -> None:
    assert Parallel(beside=TokenShift()).visibilities() == {Visibility.CAUSAL, Visibility.FULL}
    assert Parallel(beside=StateSpace()).visibilities() == {Visibility.CAUSAL}
