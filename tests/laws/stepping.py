"""Law 2: stepping equals the parallel pass, in chunks of any size; a prefix's logits are the full input's.

On the network (``step`` against ``forward``), and on predictors: ``read`` against asking and writing cell by cell,
against reading in two parts, after an ask, and against opening with the first cells given.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from laws.broken import Broken, require
from laws.cases import Case
from semagram.layouts import Visibility
from semagram.predictors.contract import read_step_by_step

LAW = "stepping equals the parallel pass"
PREFIX = "a prefix's logits are the full input's"
READ = "read equals reading step by step"
GIVEN = "given equals written"
FULL_CANVAS = "a full canvas says so"
TOLERANCE = 2e-5


def close(a: Tensor, b: Tensor, tolerance: float = TOLERANCE) -> bool:
    """Equal shapes and values within ``tolerance``; NaN is never close."""
    return a.shape == b.shape and bool(((a - b).abs() <= tolerance * (1.0 + b.abs())).all())


def gap(a: Tensor, b: Tensor) -> str:
    """How far apart, in words."""
    return f"shapes {tuple(a.shape)}, {tuple(b.shape)}" if a.shape != b.shape else f"{(a - b).abs().max():.3g} apart"


def check(network: Any, case: Case, seed: int = 0) -> None:
    """The law on a CAUSAL network."""
    if case.visibility is not Visibility.CAUSAL:
        return
    generator = torch.Generator().manual_seed(seed)
    inputs, geometry = case.inputs(seed), case.geometry()
    n = geometry.count
    with torch.no_grad():
        whole = network(inputs, geometry)
        for chunks in ([n], [1] * n, random_chunks(n, generator)):
            state = network.new_state(inputs.shape[0], geometry)
            try:
                stepped = torch.cat([network.step(part, state) for part in inputs.split(chunks, dim=1)], dim=1)
            except (IndexError, RuntimeError) as error:  # a state that believes itself elsewhere runs out of the canvas
                raise Broken(LAW, f"chunks {chunks}: {error}") from error
            require(close(stepped, whole), LAW, f"chunks {chunks}: {gap(stepped, whole)}")
            require(state.length == n, LAW, f"the state has read {n} slots and says {state.length}")
        for length in sorted({1, n // 2, n - 1} - {0}):
            prefix = network(inputs[:, :length], geometry.narrow(0, length))
            require(close(prefix, whole[:, :length]), PREFIX, f"{length} of {n}: {gap(prefix, whole[:, :length])}")


def random_chunks(n: int, generator: torch.Generator) -> list[int]:
    """Sizes that sum to n."""
    chunks: list[int] = []
    while (left := n - sum(chunks)) > 0:
        chunks.append(int(torch.randint(1, min(left, 4) + 1, (), generator=generator)))
    return chunks


def read_whole(predictor: Any, layout: Any, ids: Tensor) -> Tensor:
    """``(b, n)`` in order of writing -> ``(b, n, v)``."""
    return predictor.open(layout, ids.shape[0]).read(ids)


def check_predictor(predictor: Any, layout: Any, ids: Tensor) -> None:
    """The law on a predictor; ``ids (b, n)`` in its order of writing."""
    n = layout.count
    whole = read_whole(predictor, layout, ids)
    slow = read_step_by_step(predictor.open(layout, ids.shape[0]), ids)
    require(close(whole, slow), READ, f"in one go: {gap(whole, slow)}")
    groups = borders(predictor, layout, ids)
    for cut in sorted({groups[0], max([at for at in groups if at <= n // 2], default=0)} - {0, n}):
        state = predictor.open(layout, ids.shape[0])
        parts = [state.read(ids[:, :cut])]
        asked = state.log_probs()
        parts.append(state.read(ids[:, cut:]))
        twice = torch.cat(parts, dim=1)
        require(close(twice, slow), READ, f"in two parts, cut at {cut}: {gap(twice, slow)}")
        require(close(asked, slow[:, cut : cut + asked.shape[1]]), READ, f"asked after reading {cut} cells")
    full_canvas(predictor, layout, ids)
    if predictor.fixed_order:
        given_is_written(predictor, layout, ids, slow)


def borders(predictor: Any, layout: Any, ids: Tensor) -> list[int]:
    """How many cells are written after each group; groups need not be of one size."""
    state, found = predictor.open(layout, ids.shape[0]), [0]
    while (group := state.next_positions.shape[1]) > 0:
        state.write(ids[:, found[-1] : found[-1] + group])
        found.append(found[-1] + group)
    return found[1:]


def full_canvas(predictor: Any, layout: Any, ids: Tensor) -> None:
    """When everything is written nothing comes next, and nothing more can be written or read."""
    state = predictor.open(layout, ids.shape[0])
    state.read(ids)
    coming, answer = state.next_positions, state.log_probs()
    require(coming.shape == (ids.shape[0], 0), FULL_CANVAS, f"next_positions has shape {tuple(coming.shape)}")
    expected = (ids.shape[0], 0, predictor.vocabulary_size)
    require(answer.shape == expected, FULL_CANVAS, f"log_probs has shape {tuple(answer.shape)}, not {expected}")
    for name in ("write", "read"):
        try:
            getattr(state, name)(ids[:, :1])
        except ValueError:
            continue
        require(False, FULL_CANVAS, f"{name} took one more id than the canvas has cells")


def given_is_written(predictor: Any, layout: Any, ids: Tensor, slow: Tensor) -> None:
    """Opening with the first cells given equals writing them."""
    order = layout.positions().order()
    for known in sorted({1, layout.count // 2, layout.count - 1} - {0, layout.count}):
        given = torch.full_like(ids, -1)
        given[:, order[:known]] = ids[:, :known]
        state = predictor.open(layout, ids.shape[0], given)
        require((state.next_positions == order[known]).all(), GIVEN, f"{known} given: another cell comes next")
        rest = state.read(ids[:, known:])
        require(close(rest, slow[:, known:]), GIVEN, f"{known} given: {gap(rest, slow[:, known:])}")
