"""The embedding: what is done to a token's row on its way into the stream, and back on its way to the logits.

    x = norm(scale * row + place + sum of categories),      row = table[id], or widen(table[id])

| field            | what                                                        | paper                               |
|------------------|-------------------------------------------------------------|-------------------------------------|
| positions        | a learned row, or sines and cosines, a coordinate           | arXiv 1706.03762; GPT-2, BERT       |
| root_width       | rows times sqrt(d)                                          | 1706.03762; Gemma 2403.08295        |
| unit_rows        | rows of length 1 (then usually times sqrt(d))               | FixNorm, 1910.05895                 |
| inner_width      | a narrow table and a linear map to d                        | ALBERT, 1909.11942                  |
| categories       | further tables, added: segments, speakers                   | BERT, 1810.04805                    |
| registers        | learned vectors before the first cell, seen by all          | 2006.11527, 2309.16588; see stack   |

A tied head reads with the same table: ``back`` and ``table`` below. Tested against x-transformers and the formulas.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from semagram.errors import UserError
from semagram.layouts import Layout
from semagram.layouts.geometry import Geometry


@dataclass(frozen=True)
class LearnedPositions:
    """A learned row for each coordinate of each axis."""

    capacity: int = 1024
    """Coordinates that have a row, from 0; canvases must not reach further."""

    def __post_init__(self) -> None:
        if self.capacity < 1:
            raise UserError(f"LearnedPositions capacity must be at least 1, got {self.capacity}.")

    def build(self, width: int, layout: Layout) -> LearnedPlaces:
        """The module; raises ``UserError`` where the layout is larger than the capacity."""
        coords = layout.positions().coords
        largest = int(coords.max()) + 1 if coords.numel() else 0
        if largest > self.capacity:
            raise UserError(f"LearnedPositions capacity must be at least {largest} for {layout}, got {self.capacity}.")
        return LearnedPlaces(self.capacity, coords.shape[1], width)


@dataclass(frozen=True)
class SinusoidalPositions:
    """Sines and cosines of each coordinate, the features shared out among the axes."""

    base: float = 10_000.0
    """Ratio of the longest to the shortest wave."""
    scaled: bool = False
    """Times one learned number, 1 / sqrt(d) at the beginning."""

    def __post_init__(self) -> None:
        if not self.base > 1:
            raise UserError(f"SinusoidalPositions base must be above 1, got {self.base}.")

    def build(self, width: int, layout: Layout) -> SinusoidalPlaces:
        """The module; raises ``UserError`` where the width leaves an axis without a wave."""
        axes = layout.positions().coords.shape[1]
        if width < 2 * axes:
            raise UserError(f"sinusoidal positions on {axes} axes need a width of at least {2 * axes}, got {width}.")
        return SinusoidalPlaces(self, width)


@dataclass(frozen=True)
class Embedding:
    """How a token enters the stream; the default is a row of the table, normalised."""

    positions: LearnedPositions | SinusoidalPositions | None = None
    """Add to each row where it stands; none: only the mixers know."""
    normalise: bool = True
    """Apply the model's norm to the sum."""
    root_width: bool = False
    """Multiply the token's row by sqrt(width)."""
    unit_rows: bool = False
    """Bring the token's row to length 1 first."""
    inner_width: int | None = None
    """Width of the table, widened by a linear map; none: that of the model."""
    categories: tuple[int, ...] = ()
    """Sizes of further tables whose rows are added; the network then takes ``categories (b, n, tables)``."""

    registers: int = 0
    """Learned vectors before the first cell, which every cell may look at (memory tokens)."""

    def __post_init__(self) -> None:
        if self.registers < 0:
            raise UserError(f"embedding.registers must be at least 0, got {self.registers}.")
        if self.inner_width is not None and self.inner_width < 1:
            raise UserError(f"embedding.inner_width must be at least 1 or none, got {self.inner_width}.")
        if any(size < 1 for size in self.categories):
            raise UserError(f"embedding.categories must be sizes of at least 1, got {self.categories}.")

    @property
    def plain(self) -> bool:
        """Whether a token's row is all (registers are the stack's affair)."""
        return self == Embedding(normalise=self.normalise, registers=self.registers)

    def build(self, width: int, layout: Layout) -> Entry:
        """What stands between the table and the stream."""
        return Entry(self, width, layout)


class LearnedPlaces(nn.Module):
    """``coords (n, a) -> (n, d)``."""

    def __init__(self, capacity: int, axes: int, width: int) -> None:
        super().__init__()
        self.capacity = capacity
        self.tables = nn.ModuleList(nn.Embedding(capacity, width) for _ in range(axes))
        self.initialise()

    def initialise(self) -> None:
        """Small beside a token's row."""
        for table in self.tables:
            nn.init.normal_(table.weight, std=0.02)  # type: ignore[arg-type]

    def forward(self, geometry: Geometry) -> Tensor:
        """The sum of the rows of the axes."""
        if not torch.compiler.is_compiling() and int(geometry.coords.max()) >= self.capacity:
            raise ValueError(f"a cell stands at {geometry.coords.max()}, beyond the {self.capacity} learned positions.")
        return torch.stack([table(geometry.coords[:, axis]) for axis, table in enumerate(self.tables)]).sum(0)


class SinusoidalPlaces(nn.Module):
    """``coords (n, a) -> (n, d)``."""

    def __init__(self, config: SinusoidalPositions, width: int) -> None:
        super().__init__()
        self.base, self.width = config.base, width
        self.factor = nn.Parameter(torch.full((1,), width**-0.5)) if config.scaled else None

    def forward(self, geometry: Geometry) -> Tensor:
        """One table for all calls on a canvas."""
        key = ("sinusoidal", self.width, self.base)
        (table,) = geometry.table(key, lambda coords: (sinusoids(coords, self.width, self.base),))
        return table if self.factor is None else table * self.factor


def sinusoids(coords: Tensor, width: int, base: float) -> Tensor:
    """``(n, a) -> (n, width)``: of each axis its sines, then its cosines; features that are left over are 0."""
    axes = coords.shape[1]
    waves = width // (2 * axes)
    frequencies = base ** -(torch.arange(waves, device=coords.device) / max(waves, 1))
    angles = coords.to(frequencies.dtype)[:, :, None] * frequencies
    table = torch.cat([angles.sin(), angles.cos()], dim=-1).flatten(1)
    return F.pad(table, (0, width - table.shape[1]))


class Entry(nn.Module):
    """See ``Embedding``: everything but the table itself and the norm."""

    def __init__(self, config: Embedding, width: int, layout: Layout) -> None:
        super().__init__()
        self.factor = width**0.5 if config.root_width else 1.0
        self.unit_rows = config.unit_rows
        self.places = None if config.positions is None else config.positions.build(width, layout)
        narrow = config.inner_width
        self.widen = None if narrow is None else nn.Linear(narrow, width, bias=False)
        self.categories = nn.ModuleList(nn.Embedding(size, width) for size in config.categories)

    def initialise(self) -> None:
        """Categories begin small; the widening keeps a row's size (the rows of a table vary by 1 a feature)."""
        for table in self.categories:
            nn.init.normal_(table.weight, std=0.02)  # type: ignore[arg-type]
        if self.widen is not None:
            nn.init.normal_(self.widen.weight, std=self.widen.in_features**-0.5)

    def forward(self, rows: Tensor, geometry: Geometry, categories: Tensor | None) -> Tensor:
        """``rows (b, n, e) -> (b, n, d)``; ``categories (b, n, tables)`` ids, all 0 where not given."""
        x = self.table(rows)
        x = x if self.widen is None else self.widen(x)
        if self.factor != 1.0:
            x = x * self.factor
        if self.places is not None:
            x = x + self.places(geometry)
        if categories is not None and categories.shape[-1] != len(self.categories):
            raise ValueError(f"categories must be (b, n, {len(self.categories)}), got {tuple(categories.shape)}.")
        for index, table in enumerate(self.categories):
            ids = torch.zeros(1, 1, dtype=torch.long, device=x.device) if categories is None else categories[..., index]
            x = x + table(ids)
        return x

    def table(self, rows: Tensor) -> Tensor:
        """Rows as they are used, by embedding and tied head alike: ``(..., e) -> (..., e)``."""
        return F.normalize(rows, dim=-1) if self.unit_rows else rows

    def back(self, hidden: Tensor) -> Tensor:
        """``(..., d) -> (..., e)``: to the width of the table, for a tied head."""
        return hidden if self.widen is None else hidden @ self.widen.weight
