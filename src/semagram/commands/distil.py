"""``semagram distil RUN --text TEXT -o labels.py``: what a trained model tells apart, written as readable code."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from semagram.commands.options import parse
from semagram.errors import UserError


@dataclass(frozen=True)
class Distil:
    """Cluster what a model holds while it reads a text, and write a small labeller that tells the clusters apart."""

    run: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")] = ""
    """Folder of the trained model; none: contexts of the text are clustered by what follows them."""
    text: tuple[str, ...] = ()
    """Files, folders, globs, - for standard input, or named corpora; none: what the run was trained on."""
    out: Annotated[str, tyro.conf.arg(aliases=["-o"])] = "labels.py"
    """File to write."""
    tags: int = 8
    """Clusters."""
    context: int = 4
    """Characters that the code looks at."""
    leaves: int = 32
    """Answers that the code has at most."""
    characters: int = 50_000
    """Of the text that are read at most."""
    order: int = 2
    """Characters whose successors are clustered; only without a RUN."""
    seed: int = 0
    """Of the clusters' beginnings."""
    force: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Replace the file if it is there."""
    json: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """What the code is worth, as JSON."""


def run(arguments: list[str]) -> int:
    """The command."""
    options = parse(Distil, arguments, "semagram distil")
    if not options.out.endswith(".py"):
        raise UserError(f"the labeller is Python code: --out must end in .py, got {options.out!r}.")
    if options.run and options.order != Distil.order:
        raise UserError("--order is for clusters of the text itself: leave it out where a RUN is given.")
    if not options.run and not options.text:
        raise UserError("name a RUN, a --text, or both.")
    from semagram.commands.files import refuse_existing, write_whole
    from semagram.lab.distil import Distillation, distil_model, distil_text
    from semagram.text import load_text

    out = Path(options.out)
    refuse_existing(out, options.force)
    settings = Distillation(
        options.tags, options.context, options.leaves, options.characters, options.order, options.seed
    )
    if options.run:
        from semagram.lab.texts import training_text
        from semagram.trained import load

        model = load(options.run)
        text = load_text(options.text).text if options.text else training_text(model.experiment)
        if text is None:
            raise UserError("the text that the model was trained on is gone: name one with --text.")
        found = distil_model(model, text, settings)
    else:
        found = distil_text(load_text(options.text).text, settings)
    write_whole(out, found.code.encode())
    told = {
        "file": str(out),
        "leaves": found.leaves,
        "agreement": found.agreement,
        "majority": found.majority,
        "bits_told": found.told,
    }
    if options.json:
        print(json.dumps(told))
        return 0
    print(
        f"{out}: {found.leaves} answers; the cluster is right in {100 * found.agreement:.1f} % of held-out places "
        f"(the most frequent alone: {100 * found.majority:.1f} %); a tag tells {found.told:.2f} bits of the next "
        f"character."
    )
    print(f"semagram tags TEXT --labels {out}:label")
    return 0
