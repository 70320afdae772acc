"""The learning curves that a run left in metrics.jsonl."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from semagram.lab.figures import Point


@dataclass(frozen=True)
class Curves:
    """Nats a token, of training batches and of the held-out text, against tokens and against processor seconds."""

    train_by_tokens: list[Point] = field(default_factory=list)
    train_by_cpu: list[Point] = field(default_factory=list)
    held_out_by_tokens: list[Point] = field(default_factory=list)
    held_out_by_cpu: list[Point] = field(default_factory=list)

    def scaled(self, by: float) -> Curves:
        """The same with every nat times ``by`` (to bits a character)."""
        return Curves(*[[(x, y * by) for x, y in getattr(self, name)] for name in self.__dataclass_fields__])


def read_curves(run: Path) -> Curves:
    """The curves of the run in ``run``; empty ones where there is no log. A last line cut short is left out."""
    found = Curves()
    for line in _lines(run / "metrics.jsonl"):
        for kind in ("train", "held_out"):
            nats = line.get(f"{kind}_nats")
            if isinstance(nats, (int, float)):
                getattr(found, f"{kind}_by_tokens").append((float(line["tokens"]), float(nats)))
                getattr(found, f"{kind}_by_cpu").append((float(line["cpu_seconds"]), float(nats)))
    return found


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError:
        return
    for line in text.splitlines():
        try:
            data = json.loads(line)
        except ValueError:
            continue
        if isinstance(data, dict) and {"tokens", "cpu_seconds"} <= data.keys():
            yield data
