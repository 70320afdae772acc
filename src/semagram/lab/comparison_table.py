"""The one table of a comparison: a row a contestant, a column a kind of score, the anchors below.

Rows are summaries over seeds; runs that failed are counted and named, never dropped. Differences are to the first
contestant, in exact bits per character only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from semagram.lab.axis_controls import NONE, verdicts
from semagram.lab.beside import Beside
from semagram.lab.comparison_run import ContestantResult
from semagram.lab.comparison_statistics import Blocks, Estimate, blocks_of, bootstrap, mean_over_seeds
from semagram.lab.figures import compact

KINDS = {
    "nll": "exact bits/char (nll)",
    "nll_upper_bound": "upper bound, bits/char (nll_upper_bound)",
    "pseudo_nll": "pseudo, bits/char (pseudo_nll)",
    "given_conditional": "given its tags, bits/char (given-conditional)",
    "oracle_conditional": "told letters to come, bits/char (oracle-conditional)",
    "coded": "decoded file, bits/char (coded)",
}
"""Columns of scores; a column without a value is left out."""
DASH = "-"


@dataclass(frozen=True)
class Row:
    """A contestant over all its seeds."""

    name: str
    results: tuple[ContestantResult, ...]
    scores: dict[str, Estimate]
    """By kind (``KINDS``); a kind that it has not is not there."""
    difference: Estimate | None
    """To the first contestant, exact bits per character; None for the first, and where one has no exact score."""
    verdict: str = ""
    """What the controls of its axes say of them."""

    @property
    def done(self) -> tuple[ContestantResult, ...]:
        """The results with a score."""
        return tuple(r for r in self.results if r.judged is not None and r.failed is None)

    def mean(self, field: str) -> float | None:
        """The mean of a number that every result has; None when one has not."""
        values = [getattr(r, field) for r in self.done]
        return float(np.mean(values)) if values and None not in values else None

    @property
    def parameters(self) -> int | None:
        """Trained numbers."""
        return self.done[0].judged.parameters if self.done and self.done[0].judged else None

    @property
    def remark(self) -> str:
        """What a reader must know."""
        said = list(dict.fromkeys(r.judged.note for r in self.done if r.judged and r.judged.note))
        failed = [r for r in self.results if r.failed]
        for reason in dict.fromkeys(r.failed for r in failed):
            seeds = [r.seed for r in failed if r.failed == reason]
            which = "" if seeds == [None] else f" with seed {', '.join(map(str, seeds))}"
            said.append(f"failed{which} ({len(failed)} of {len(self.results)}): {reason}")
        return "; ".join([*said, self.verdict] if self.verdict else said)


def rows_of(groups: Sequence[tuple[str, Sequence[ContestantResult]]]) -> list[Row]:
    """A row for each (name, results); differences are to the first."""
    rows: list[Row] = []
    for name, results in groups:
        row = Row(name, tuple(results), {}, None)
        for kind in KINDS:
            values = [getattr(r.judged, kind) for r in row.done]
            values = [v for v in values if v is not None]
            if values:
                row.scores[kind] = mean_over_seeds(values)
        rows.append(Row(name, row.results, row.scores, _difference(rows[0], row) if rows else None))
    return [replace(row, verdict=_verdict(row, rows)) for row in rows]


def _verdict(row: Row, rows: Sequence[Row]) -> str:
    """Of a contestant with axes: each against the rows of its controls, which bear its name."""
    own = {r.name.removeprefix(f"{row.name} "): r for r in rows if r.name.startswith(f"{row.name} ")}
    kind = next((k for k in ("nll", "given_conditional", "oracle_conditional") if k in row.scores), None)
    if kind is None or NONE not in own:
        return ""
    bits = {name: r.scores[k].mean for name, r in own.items() for k in (kind, "nll") if k in r.scores}
    axes = tuple(dict.fromkeys(name.split("~")[0] for name in own if "~" in name))
    return "; ".join(f"{axis}: {said}" for axis, said in verdicts({**bits, "": row.scores[kind].mean}, axes).items())


def _difference(first: Row, other: Row) -> Estimate | None:
    """Other minus first: by seed where both have the same two seeds or more, by blocks of the text otherwise."""
    if "nll" not in first.scores or "nll" not in other.scores:
        return None
    a, b = ({r.seed: r.judged.nll for r in row.done if r.judged} for row in (first, other))
    shared = [seed for seed in a if seed is not None and seed in b]
    pairs = [(a[seed], b[seed]) for seed in shared]
    values = [y - x for x, y in pairs if x is not None and y is not None]
    if len(values) > 1:
        return mean_over_seeds(values)
    mine, theirs = _blocks(first), _blocks(other)
    return bootstrap(theirs.nats - mine.nats, mine.characters)


def _blocks(row: Row) -> Blocks:
    every = [blocks_of(*r.nats()) for r in row.done]
    return Blocks(np.mean([b.nats for b in every], axis=0), every[0].characters)


@dataclass(frozen=True)
class Table:
    """Words, ready to be laid out: ``columns``, ``lines`` of as many cells, ``kinds`` of score that have a column."""

    columns: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]
    kinds: tuple[str, ...]


def table_of(rows: Sequence[Row], anchors: Sequence[Beside]) -> Table:
    """The table in words; compressors are rows too, since their sizes are exact."""
    kinds = tuple(k for k in KINDS if k == "nll" or any(k in row.scores for row in rows))
    first = rows[0].name
    columns = (
        "contestant", *(KINDS[k] for k in kinds), f"minus {first}", "seeds", "parameters",
        "training tokens", "CPU s", "tokens/s", "training FLOP", "remark",
    )  # fmt: skip
    lines = []
    for row in rows:
        seeds = DASH if any(r.seed is None for r in row.results) else f"{len(row.done)} of {len(row.results)}"
        numbers = [row.mean(f) for f in ("tokens", "cpu_seconds", "tokens_per_second", "training_flops")]
        lines.append((
            row.name,
            *(estimate_words(row.scores.get(k)) for k in kinds),
            DASH if row.difference is None else estimate_words(row.difference, sign=True),
            seeds,
            DASH if row.parameters is None else f"{row.parameters:,}",
            *(DASH if n is None else compact(n) for n in numbers),
            row.remark or DASH,
        ))  # fmt: skip
    for anchor in anchors:
        score = [f"{anchor.bits:.4f}" if k == "nll" else DASH for k in kinds]
        lines.append((anchor.name, *score, *[DASH] * (len(columns) - 1 - len(kinds))))
    return Table(columns, tuple(lines), kinds)


def estimate_words(estimate: Estimate | None, sign: bool = False) -> str:
    """``1.5165 [1.5101, 1.5229]``."""
    if estimate is None:
        return DASH
    plus = "+" if sign else ""
    words = f"{estimate.mean:{plus}.4f}"
    if estimate.low is None or estimate.high is None:
        return words
    return f"{words} [{estimate.low:{plus}.4f}, {estimate.high:{plus}.4f}]"


def markdown(table: Table) -> str:
    """The table in Markdown."""

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"

    rule = ["---"] + ["---:"] * (len(table.columns) - 2) + ["---"]
    return "\n".join([line(table.columns), line(rule), *map(line, table.lines)]) + "\n"
