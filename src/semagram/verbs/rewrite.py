"""Rewrite: a text becomes the first page of a cellular automaton, and the pages that follow become texts again.

The one verb of a centred model; the others need a likelihood, which it does not have (``predictors/automaton``).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from semagram.errors import UserError
from semagram.predictors.automaton import AutomatonPredictor
from semagram.predictors.contract import Predictor
from semagram.text.tokenizer import Tokenizer


def rewrite(
    predictor: Predictor,
    tokenizer: Tokenizer,
    text: str = "",
    *,
    length: int | None = None,
    steps: int | None = None,
    share: float | None = None,
    temperature: float | None = None,
    seed: int = 0,
) -> list[str]:
    """The page and what it is after each step.

    ``text`` is the first page; empty: ``length`` random tokens (none: as many as a canvas of training). ``steps``,
    ``share`` and ``temperature`` as in ``CellularAutomaton``; none: those of the predictor. Raises ``UserError``
    for a model that was not trained with ``Centred``, and for what the page, the vocabulary or a field does not allow.
    """
    if not isinstance(predictor, AutomatonPredictor):
        raise UserError(
            "the model was not trained with Centred, so it cannot rewrite a page as a cellular automaton: use "
            "'semagram generate'."
        )
    asked = {"steps": steps, "share": share, "temperature": temperature}
    writing = replace(predictor.writing, **{name: value for name, value in asked.items() if value is not None})
    if text and length is not None:
        raise UserError(f"length {length} is for a random page, and a text was given: leave one of them out.")
    count = predictor.layout.count if length is None else length
    if count < 1:
        raise UserError(f"length must be at least 1, got {count}.")
    if text:
        page = torch.from_numpy(tokenizer.encode(text).astype(np.int64))
    else:
        page = torch.randint(0, predictor.vocabulary_size, (count,), generator=torch.Generator().manual_seed(seed))
    pages = replace(predictor, writing=writing).pages(page[None], seed)
    return [tokenizer.decode(each[0].numpy(), partial=True) for each in pages]
