"""What models refuse early."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from semagram.errors import UserError
from semagram.feedforward import AdaptiveLayerNorm, AdaptiveRMSNorm
from semagram.models import Electra, Hierarchical, Hourglass, Hybrid, MultiToken, Page, Transformer


@pytest.mark.parametrize("norm", [AdaptiveRMSNorm(3), AdaptiveLayerNorm(3)], ids=["RMS", "layer"])
@pytest.mark.parametrize(
    "make",
    [
        lambda norm: Hierarchical(norm=norm),
        lambda norm: Hourglass(norm=norm),
        lambda norm: Page(norm=norm),
        lambda norm: Hybrid(network=Transformer(norm=norm)),
        lambda norm: MultiToken(network=Transformer(norm=norm)),
        lambda norm: Electra(generator=Transformer(norm=norm)),
    ],
)
def test_parts_that_need_a_condition_are_refused_where_none_is_given(make: Callable[[object], object], norm: object):
    with pytest.raises(UserError, match=f"given no condition, and {type(norm).__name__} needs one"):
        make(norm)
