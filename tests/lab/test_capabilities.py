"""The page of capabilities is what the parts say, and what they say is what happens."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from laws.stepping import close
from semagram.errors import UserError
from semagram.lab import capabilities
from semagram.layouts import Visibility
from semagram.layouts.geometry import Geometry
from semagram.mixers.contract import reads_pairs
from semagram.models import Transformer

PAGE = Path(__file__).parents[2] / "docs" / "capabilities.md"
HOST = Transformer(width=16, depth=2)


def test_the_page_is_current() -> None:
    assert PAGE.read_text("utf-8") == capabilities.page(), (
        "docs/capabilities.md is not what the parts say: python -m semagram.lab.capabilities > docs/capabilities.md"
    )


@pytest.mark.parametrize(("label", "mixer"), capabilities.mixers(), ids=lambda v: v if isinstance(v, str) else "")
def test_what_a_mixer_says_is_what_happens(label: str, mixer: Any) -> None:
    """Built where declared and refused elsewhere; stepped where CAUSAL; pairs heeded or refused; registers too."""
    config = replace(HOST, mixer=mixer)
    for visibility in Visibility:
        layout = capabilities.layout_of(visibility)
        if visibility not in config.visibilities():
            with pytest.raises(UserError, match=f"cannot be {visibility.name}"):
                config.build(7, layout, visibility)
            continue
        network = capabilities.moved(config, layout, visibility)
        geometry = Geometry.of(layout.positions(), visibility)
        ids = torch.randint(0, 7, (2, layout.count), generator=torch.Generator().manual_seed(0))
        with torch.no_grad():
            whole = network(ids, geometry)
            if visibility is Visibility.CAUSAL:
                state = network.new_state(2, geometry)
                stepped = torch.cat([network.step(part, state) for part in ids.split(5, dim=1)], dim=1)
                assert close(stepped, whole, 2e-5)
            else:
                with pytest.raises(ValueError, match="only a CAUSAL network can be stepped"):
                    network.new_state(2, geometry)
            ruled = Geometry(
                geometry.coords, geometry.order, visibility, pairs=torch.eye(layout.count, dtype=torch.bool)
            )
            if reads_pairs(mixer):
                assert not torch.equal(network(ids, ruled), whole)
            else:
                with pytest.raises(UserError, match="does not heed"):
                    network(ids, ruled)


def test_a_state_that_is_called_bounded_is() -> None:
    """The count itself: a window keeps as much of a long text as of a longer one, full attention does not."""
    from semagram.mixers import Attention, Landmarks, Window

    for mixer, said in (
        (Attention(), "grows"),
        (Attention(reach=Window(9)), "bounded"),
        (Landmarks(), "none: refused"),
    ):
        assert capabilities.memory(replace(HOST, mixer=mixer)) == said
    assert capabilities.held([torch.zeros(3), {"a": torch.zeros(2, dtype=torch.int64)}, torch.zeros(4)], set()) == 7
