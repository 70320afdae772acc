"""The tensors of a checkpoint: one safetensors file or several with an index; each is taken once, by name.

What nobody took is told at the end: a tensor that we leave out would be a part of the model that we do not know.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import torch
from torch import Tensor

from semagram.errors import UserError

SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"
BUFFERS = re.compile(r"(^|\.)(inv_freq|position_ids|token_type_ids|masked_bias|attn\.bias|attention\.bias)$")
"""Fixed tables that older versions saved beside the weights."""


class Tensors:
    """Tensors by name, float32."""

    def __init__(self, tensors: dict[str, Tensor], where: str) -> None:
        self.left = dict(tensors)
        self.where = where

    @classmethod
    def read(cls, folder: Path) -> Tensors:
        """All of a folder; raises ``UserError`` where a file is missing or damaged."""
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        names = [SINGLE]
        if not (folder / SINGLE).is_file():
            if not (folder / INDEX).is_file():
                raise UserError(f"{folder} has no {SINGLE} and no {INDEX}; other formats (pickles) are not read.")
            try:
                names = sorted(set(json.loads((folder / INDEX).read_text("utf-8"))["weight_map"].values()))
            except (ValueError, KeyError, AttributeError) as error:
                raise UserError(f"{folder / INDEX} is damaged: {error!r}.") from None
        found: dict[str, Tensor] = {}
        for name in names:
            if Path(name).name != name:
                raise UserError(f"{folder / INDEX} names {name!r}; its files must stand beside it.")
            try:
                found |= load_file(folder / name)
            except (SafetensorError, OSError) as error:
                raise UserError(f"{folder / name} is missing, damaged or no safetensors file: {error}.") from None
        return cls(found, str(folder))

    def unprefixed(self, *prefixes: str) -> None:
        """Leave out a leading prefix of names: a checkpoint may be that of a bare model, or of one with a head."""
        for prefix in prefixes:
            self.left = {name.removeprefix(prefix): tensor for name, tensor in self.left.items()}

    def __contains__(self, name: str) -> bool:
        return name in self.left

    def take(self, name: str) -> Tensor:
        """The tensor; raises ``UserError`` when it is not there."""
        if name not in self.left:
            raise UserError(f"{self.where} has no tensor {name}, which its config.json asks for.")
        return self.left.pop(name).to(torch.float32)

    def leave(self, *names: str) -> None:
        """Do without these tensors, if they are there: a pattern each, of the whole name."""
        for name in names:
            self.left = {known: tensor for known, tensor in self.left.items() if not re.fullmatch(name, known)}

    def done(self) -> None:
        """Raise ``UserError`` when a tensor is left that nobody took."""
        rest = [name for name in self.left if not BUFFERS.search(name)]
        if rest:
            more = f" (and {len(rest) - 3} more)" if len(rest) > 3 else ""
            raise UserError(
                f"{self.where} has tensors that its config.json does not ask for: {', '.join(rest[:3])}{more}."
            )
