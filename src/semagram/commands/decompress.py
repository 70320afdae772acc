"""``semagram decompress RUN FILE``: the text again, to the byte, or a clear refusal."""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from semagram.commands.options import parse
from semagram.errors import UserError

if TYPE_CHECKING:
    from semagram.trained import TrainedModel


@dataclass(frozen=True)
class Decompress:
    """Rebuild the text from a file that compress wrote."""

    run: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """Folder of the model that wrote the file; - for a self-contained file."""
    file: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FILE")]
    """The file."""
    out: Annotated[Path | None, tyro.conf.arg(aliases=("-o",))] = None
    """Where to write the text; none: standard output."""
    force: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Replace the text if it is there."""
    json: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Print size and SHA-256 of the text as JSON (needs --out)."""


def run(arguments: list[str]) -> int:
    """The command."""
    options = parse(Decompress, arguments, "semagram decompress")
    if options.json and options.out is None:
        raise UserError("--json needs --out, since the text itself goes to standard output.")
    from semagram.commands.files import refuse_existing, write_whole
    from semagram.lab.ensembles import load_either

    if not options.file.is_file():
        raise UserError(f"there is no file {options.file}.")
    if options.out is not None:
        refuse_existing(options.out, options.force)
    data = options.file.read_bytes()
    model = _embedded(data) if options.run == "-" else load_either(options.run)
    text = model.decompress(data, warn=lambda line: print(f"semagram: {line}", file=sys.stderr))
    encoded = text.encode("utf-8")
    if options.out is None:
        sys.stdout.buffer.write(encoded)
        return 0
    write_whole(options.out, encoded)
    digest = hashlib.sha256(encoded).hexdigest()
    if options.json:
        print(json.dumps({"file": str(options.out), "characters": len(text), "sha256": digest}))
    else:
        print(f"{options.out}: {len(text):,} characters, SHA-256 {digest}")
    return 0


def _embedded(data: bytes) -> TrainedModel:
    """The model inside a self-contained file."""
    from semagram.trained import load
    from semagram.verbs.container import from_bytes

    parts = from_bytes(data).parts
    if not parts:
        raise UserError("this file holds no model: name the run that wrote it instead of -.")
    with tempfile.TemporaryDirectory() as folder:
        for name, content in parts.items():
            # A name with a folder in it could write outside; ours have none.
            (Path(folder) / Path(name).name).write_bytes(content)
        return load(folder)
