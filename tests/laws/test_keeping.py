"""Law 7 on every pair of parts (saved, copied) and on every part (compiled)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from laws import keeping, legal, walk
from laws.cases import Case, all_cases, extra
from laws.test_options import SLOTS, hosted
from semagram.config import members
from semagram.feedforward import RMSNorm
from semagram.layouts import Grid, Sequence, Visibility
from semagram.mixers import TokenShift
from semagram.models import Transformer
from semagram.models.embedding import Embedding, SinusoidalPositions
from semagram.models.hyper_connections import HyperConnections
from semagram.models.layers import Layers
from semagram.models.residual import Residual


def test_every_combination_is_saved_and_copied(tmp_path: Path, count) -> None:
    for case in (*all_cases()[::8], *extra(Transformer)[::2]):
        try:
            network = case.network()
            keeping.check_saved(network, case, tmp_path)
            keeping.check_copied(network, case)
        except AssertionError as error:
            error.add_note(f"in {case}")
            raise
        count("combinations saved, loaded and copied")


GROUPS = ("residual", "layers", "embedding", "head")
COMPILED: list[Any] = [
    *((slot, walk.baseline(kind)) for slot, union in SLOTS.items() if slot not in GROUPS for kind in members(union)),
    ("residual", Residual(join=HyperConnections(2), drop=0.3)),
    ("layers", Layers(loops=2, fewest_loops=1)),
    ("embedding", Embedding(registers=2, positions=SinusoidalPositions())),
]
"""Each kind of part; of the groups of fields one telling value (benchmarks/compiled.py has all of them)."""


@pytest.mark.parametrize(("slot", "config"), COMPILED, ids=[type(c).__name__ for _, c in COMPILED])
@pytest.mark.filterwarnings("ignore")
def test_every_part_compiles_in_one_graph(slot: str, config: Any, count) -> None:
    for model in hosted(slot, config)[:1]:  # a part is the same part in every model; models are compiled by their tests
        model = walk.replaced(model, "depth", 1) if hasattr(model, "depth") else model
        able = sorted(legal.model_visibilities(model), key=lambda v: v.name)
        for visibility in able if slot == "mixer" else able[:1]:
            case = Case(model, Grid(2, 3), visibility, 5)
            keeping.check_compiled(case.network(), case)
            count("parts compiled in one graph")


def test_names_of_saved_weights_are_stable() -> None:
    """Whoever renames a parameter makes every saved model unreadable; this list is what was promised."""
    config = Transformer(width=16, depth=1, norm=RMSNorm(gain=True), shift=TokenShift())
    assert sorted(config.build(5, Sequence(4), Visibility.CAUSAL).state_dict()) == [
        "blocks.0.feedforward.down.weight",
        "blocks.0.feedforward.up.weight",
        "blocks.0.feedforward_norm.gain",
        "blocks.0.mixer.inward.weight",
        "blocks.0.mixer.outward.weight",
        "blocks.0.mixer_norm.gain",
        "embedding.weight",
        "embedding_norm.gain",
        "head.weight",
        "norm.gain",
        "shift.share",
    ]
