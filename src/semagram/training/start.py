"""Begin with what another run has learnt: another text, another size of the layout, another head, frozen parts.

Parameters do not know the layout's size, so a network goes on on a larger page as it is. Every tensor of the finished
run that has its name and its shape in the new network is taken. Where the two runs read text with different
tokenizers an id means another token: then the rows of embeddings and head are taken token by token, as far as both
know them. ``frozen`` parts stay as they were: no optimiser holds
them. What was taken is told; a start that takes nothing is refused.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from semagram.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor, nn

    from semagram.text.tokenizer import Tokenizer


@dataclass(frozen=True)
class Start:
    """The finished run to begin with."""

    run: str
    """Its folder."""
    frozen: tuple[str, ...] = ()
    """Parts that stay as they are, by how their names begin: blocks.0, embedding."""
    afresh: tuple[str, ...] = ()
    """Parts that begin afresh, by how their names begin: head."""

    def __post_init__(self) -> None:
        both = [name for name in self.frozen if name.startswith(self.afresh or ("\0",))]
        if both:
            raise UserError(f"training.start: {both[0]} cannot both begin afresh and be frozen.")


def begin_from(start: Start, network: nn.Module, tokenizer: Tokenizer, tell: Callable[[str], object]) -> None:
    """Change ``network`` in place. ``UserError`` for a folder that is no finished run, names that no parameter has, and
    a run of which nothing fits."""
    import torch

    known, theirs = _read(Path(start.run))
    ours = network.state_dict()
    for name in (*start.frozen, *start.afresh):
        if not any(_under(key, name) for key in ours):
            raise UserError(f"training.start: no part is called {name!r}; there are {_parts(ours)}.")
    rows = None if theirs.fingerprint == tokenizer.fingerprint else _shared_rows(theirs, tokenizer)
    taken, refused, vocabulary = 0, [], _of_vocabulary(network)
    sizes = tokenizer.vocabulary_size, theirs.vocabulary_size
    with torch.no_grad():
        for name, tensor in ours.items():
            if any(_under(name, part) for part in start.afresh):
                continue
            old, by_token = known.get(name), rows is not None and name in vocabulary
            if old is not None and by_token and old.shape[1:] == tensor.shape[1:]:
                assert rows is not None
                # The row behind the last token is that of the reserved id.
                pairs = rows + ([sizes] if len(tensor) > sizes[0] and len(old) > sizes[1] else [])
                new, before = torch.tensor(pairs, dtype=torch.int64).view(-1, 2).unbind(1)
                tensor[new] = old[before]
                taken += 1
            elif old is not None and not by_token and old.shape == tensor.shape:
                tensor.copy_(old)
                taken += 1
            else:
                refused.append(name)
    if not taken:
        raise UserError(f"training.start: nothing of {start.run} fits this network, which has {_parts(ours)}.")
    for name, parameter in network.named_parameters():
        if any(_under(name, part) for part in start.frozen):
            parameter.requires_grad_(False)
    if not any(p.requires_grad for p in network.parameters()):
        raise UserError(f"training.start.frozen {start.frozen} leaves nothing to train.")
    letters = "" if rows is None else f" ({len(rows)} tokens known to both)"
    fresh = f"; afresh: {', '.join(refused)}" if refused else ""
    tell(f"{taken} of {len(ours)} tensors are from {start.run}{letters}{fresh}.")


def _read(folder: Path) -> tuple[dict[str, Tensor], Tokenizer]:
    """Weights by name, and the tokenizer."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from semagram.text.tokenizers import tokenizer_from_json

    try:
        tokenizer = tokenizer_from_json(json.loads((folder / "tokenizer.json").read_text(encoding="utf-8")))
        return load_file(folder / "model.safetensors"), tokenizer
    except (OSError, ValueError, SafetensorError) as error:
        raise UserError(f"training.start.run {folder} is not a finished run: {error}.") from None


def _of_vocabulary(network: nn.Module) -> set[str]:
    """The tensors with a row for each token: of embeddings and heads, by their names (see ``parameters``)."""
    v = int(network.vocabulary_size)  # type: ignore[arg-type]

    def is_one(name: str, rows: int) -> bool:
        return rows in (v, v + 1) and any(word.startswith(("embedding", "head")) for word in name.split("."))

    return {name for name, tensor in network.state_dict().items() if tensor.dim() and is_one(name, len(tensor))}


def _shared_rows(old: Tokenizer, new: Tokenizer) -> list[tuple[int, int]]:
    """(new id, old id) of the tokens that both know."""
    before = {token: i for i, token in enumerate(old.list_tokens())}
    return [(i, before[token]) for i, token in enumerate(new.list_tokens()) if token in before]


def _under(name: str, part: str) -> bool:
    return name == part or name.startswith(f"{part}.")


def _parts(state: dict) -> str:
    return ", ".join(sorted({name.split(".")[0] for name in state}))
