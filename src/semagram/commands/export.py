"""``semagram export RUN -o FOLDER``: a trained model as a Hugging Face folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from semagram.commands.options import parse


@dataclass(frozen=True)
class Export:
    """Write a trained model as a folder for transformers (and for what stands on it, such as lm-evaluation-harness)."""

    run: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """Folder of the trained model."""
    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    """Folder to write: a new or an empty one."""


def run(arguments: list[str]) -> int:
    """The command."""
    options = parse(Export, arguments, "semagram export")
    from semagram.trained import load

    folder = load(options.run).export(options.out)
    print(f"{folder}: AutoModelForCausalLM.from_pretrained({str(folder)!r}, trust_remote_code=True)")
    return 0
