"""What the literature says of the families, written down before the big table was run; nothing here is ever edited to
fit a result. ``python -m benchmarks.families`` prints each beside what was found.

A verdict says that one family does better than another on a text (fewer bits) or a task (more answers right), or that
one gets no further than a share of right answers. It is *agreed with* where the paired 95 % interval over seeds lies
wholly on its side, *against* where it lies wholly on the other, and *open* otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from semagram.lab.comparison_statistics import Estimate, mean_over_seeds

WRITTEN = "2026-11-22, before the first run"
TEXT = "text"
"""Stands for every text of the table, each judged for itself."""

Found = Literal["agreed with", "against", "open", "not run"]


@dataclass(frozen=True)
class Verdict:
    """``better`` does better than ``worse`` on ``where``; ``worse`` none: ``better`` stays below ``most`` right."""

    where: str
    better: str
    worse: str | None
    says: str
    paper: str
    most: float | None = None


VERDICTS = (
    Verdict("recall", "transformer", "convolution", "attention recalls pairs that convolutions lose", "2312.04927"),
    Verdict("induction", "transformer", "ngram", "induction heads find what counting cannot", "2209.11895"),
    Verdict("induction", "mamba", "convolution", "selection solves induction, fixed filters do not", "2312.00752"),
    Verdict("selective copy", "mamba", "convolution", "selection keeps the symbols among blanks", "2312.00752"),
    Verdict("copy", "transformer", "mamba", "attention copies better than a fixed state", "2402.01032"),
    Verdict("parity", "transformer", None, "attention of fixed depth does not learn parity", "2202.12172", most=0.75),
    Verdict("brackets", "transformer", "convolution", "attention closes nested brackets", "2105.11115"),
    Verdict("hops", "transformer", "mamba", "depth of attention does hops, recurrence does not", "2402.09268"),
    Verdict("automaton", "convolution", "ngram", "a local rule is learnt by local filters", "1809.02942"),
    Verdict("sudoku", "page", "transformer", "any order beats left to right on puzzles", "2410.14157"),
    Verdict(TEXT, "transformer", "ngram", "neural models beat Kneser-Ney", "1602.02410"),
    Verdict(TEXT, "hybrid", "transformer", "n-grams add to a neural model", "1602.02410"),
    Verdict(TEXT, "ensemble", "transformer", "a mixture beats one model of its kind", "1612.01474"),
    Verdict(TEXT, "transformer", "page", "left to right costs fewer bits than any order", "2406.07524"),
    Verdict(TEXT, "transformer", "kan", "spline networks are worse than MLPs at language", "2407.16674"),
    Verdict(TEXT, "mamba", "convolution", "selective state spaces beat fixed convolutions", "2312.00752"),
)

Values = Mapping[tuple[str, str], Mapping[int, float]]
"""(where, family) -> seed -> bits per character of a text, or share of right answers of a task."""


def difference(values: Values, where: str, a: str, b: str) -> Estimate | None:
    """a minus b over the seeds that both have; what counts is the same for every seed. None without two seeds."""
    one, two = values.get((where, a), {}), values.get((where, b), {})
    seeds = sorted({*one, *two} - {-1})
    pairs = [(one.get(s, one.get(-1)), two.get(s, two.get(-1))) for s in seeds]
    both = [x - y for x, y in pairs if x is not None and y is not None]
    return mean_over_seeds(both) if len(both) > 1 else None


def judged(
    verdict: Verdict, where: str, values: Values, is_text: Callable[[str], bool]
) -> tuple[Found, Estimate | None]:
    """What was found of it on one text or task, and the difference by which."""
    if verdict.worse is None:
        found = values.get((where, verdict.better), {})
        if len(found) < 2 or verdict.most is None:
            return "not run", None
        right = mean_over_seeds(list(found.values()))
        assert right.low is not None and right.high is not None
        side: Found = "agreed with" if right.high < verdict.most else "against" if right.low > verdict.most else "open"
        return side, right
    gap = difference(values, where, verdict.better, verdict.worse)
    if gap is None or gap.low is None or gap.high is None:
        return "not run", gap
    good, bad = (gap.high < 0, gap.low > 0) if is_text(where) else (gap.low > 0, gap.high < 0)
    return ("agreed with" if good else "against" if bad else "open"), gap


def table(values: Values, texts: Sequence[str]) -> str:
    """Every verdict beside what was found, in Markdown."""
    lines = ["| where | the literature says | paper | found | difference |", "|---|---|---|---|---|"]
    for verdict in VERDICTS:
        for where in texts if verdict.where == TEXT else (verdict.where,):
            found, gap = judged(verdict, where, values, lambda name: name in texts)
            told = "-" if gap is None else f"{gap.mean:+.3f}"
            if gap is not None and gap.low is not None and gap.high is not None:
                told += f" [{gap.low:+.3f}, {gap.high:+.3f}]"
            against = "" if verdict.worse is None else f": {verdict.better} over {verdict.worse}"
            paper = f"arXiv {verdict.paper}"
            lines.append(f"| {where} | {verdict.says}{against} | {paper} | {found} | {told} |")
    return "\n".join(lines)
