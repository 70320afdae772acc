"""Generate: ask, sample, write. One batch holds prompts of any lengths, and text of any length is written.

Rows start together at the left; while a row still has prompt, its cells are written with the prompt instead of a
sample, so no row needs padding. When a canvas is full, the next one is opened with the last half of it given.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from semagram.errors import UserError
from semagram.predictors.contract import DecodingState, Placeable, Predictor
from semagram.verbs.constraints import Constraint
from semagram.verbs.sampling import Sampling, uniforms
from semagram.verbs.windows import has_pages

Stream = Callable[[int, int], None]
"""``(row, id)``: called for each new token, in order of writing."""

Finished = Callable[[int, list[int]], bool]
"""``(row, new ids so far)``: True ends the row."""


@torch.inference_mode()
def generate(
    predictor: Predictor,
    prompts: Sequence[np.ndarray],
    tokens: int,
    sampling: Sampling | None = None,
    *,
    seed: int = 0,
    stream: Stream | None = None,
    finished: Finished | None = None,
    constraint: Constraint | None = None,
) -> list[np.ndarray]:
    """Continue each prompt (ids, any length, also none) by ``tokens`` tokens; returns prompt + continuation a row.

    ``finished(row, new_ids)`` may end a row early; ``constraint`` says which tokens may follow, and ends a row where
    nothing may. ``seed`` and the row's number decide what a row says.
    Predictors that choose where to write fill one canvas, of which the prompt is the beginning.
    """
    sampling = sampling or Sampling()
    if not prompts or tokens < 1:
        return [np.asarray(p, dtype=np.int64) for p in prompts]
    if not predictor.fixed_order and constraint is not None:
        raise UserError(f"a constraint needs a fixed order of writing; {type(predictor).__name__} chooses its own.")
    if not predictor.fixed_order:
        return [_page(predictor, p, tokens, sampling, seed, row) for row, p in enumerate(prompts)]
    return _Line(predictor, prompts, tokens, sampling, seed, constraint).write(stream, finished)


class _Line:
    """A batch of rows written left to right."""

    def __init__(
        self,
        predictor: Predictor,
        prompts: Sequence[np.ndarray],
        tokens: int,
        sampling: Sampling,
        seed: int,
        constraint: Constraint | None = None,
    ) -> None:
        self.predictor, self.sampling, self.tokens, self.constraint = predictor, sampling, tokens, constraint
        self.prompt_lengths = [len(p) for p in prompts]
        self.total = max(self.prompt_lengths) + tokens
        self.shortest, self.longest = min(self.prompt_lengths), max(self.prompt_lengths)
        self.ids = torch.full((len(prompts), self.total), -1, dtype=torch.int64)
        for row, prompt in enumerate(prompts):
            self.ids[row, : len(prompt)] = torch.from_numpy(np.asarray(prompt, dtype=np.int64))
        self.uniform = torch.zeros(len(prompts), self.total, dtype=torch.float64)
        for row, length in enumerate(self.prompt_lengths):
            self.uniform[row, length : length + tokens] = uniforms(seed, row, tokens)
        self.prompt = self.ids >= 0
        self.ends = [length + tokens for length in self.prompt_lengths]

    def write(self, stream: Stream | None, finished: Finished | None) -> list[np.ndarray]:
        """Ask, sample, write until every row has its end."""
        rows = len(self.prompt_lengths)
        ends = self.ends
        seen = self._seen() if self.sampling.counts_tokens else None
        states = None if self.constraint is None else [self.constraint.start() for _ in range(rows)]
        at = self.shortest
        state, left = self._open(at)
        while at < max(ends):
            if left == 0:
                state, left = self._open(at)
            allowed = None if states is None else self._allowed(states, at)
            chosen = self.sampling.choose(state.log_probs().cpu(), seen, self.uniform[:, at : at + 1], allowed)
            if at < self.longest:
                chosen = torch.where(self.prompt[:, at : at + 1], self.ids[:, at : at + 1], chosen)
            self.ids[:, at : at + 1] = chosen
            at, left = at + 1, left - 1
            if at < max(ends) and left > 0:
                state.write(chosen.to(self.device))
            if seen is not None:
                new = torch.where(at > torch.tensor(self.prompt_lengths), 1.0, 0.0)[:, None]
                seen.scatter_add_(1, chosen, new)
            if states is not None:
                self._advance(states, at, chosen)
            if stream is None and finished is None:
                continue
            for row in range(rows):
                if self.prompt_lengths[row] < at <= ends[row]:
                    if stream is not None:
                        stream(row, int(chosen[row, 0]))
                    if finished is not None and finished(row, self.ids[row, self.prompt_lengths[row] : at].tolist()):
                        ends[row] = at
        return [self.ids[row, : ends[row]].numpy().copy() for row in range(rows)]

    def _open(self, at: int) -> tuple[DecodingState, int]:
        """The canvas that holds position ``at``, with what stands before it given, and how many cells it has left.

        Canvases begin at multiples of half a canvas, counted from the text's beginning and not from the batch's,
        so that a row reads the same windows in any company.
        """
        count = self.predictor.context or self.total
        start = 0
        if at >= count:
            stride = count if has_pages(self.predictor) else max(1, count // 2)
            start = ((at - count) // stride + 1) * stride
        length = count if has_pages(self.predictor) else min(count, self.total - start)
        given = torch.full((len(self.ids), length), -1, dtype=torch.int64)
        given[:, : at - start] = self.ids[:, start:at]
        predictor = self.predictor
        if isinstance(predictor, Placeable):
            before = self.ids[:, max(0, start - predictor.memory) : start].numpy()
            predictor = predictor.placed(list(before), np.full(len(before), start))
        state = predictor.open(predictor.canvas(length), len(self.ids), given if at > start else None)
        self.device = state.next_positions.device
        return state, start + length - at

    def _seen(self) -> Tensor:
        v = self.predictor.vocabulary_size
        return torch.stack([counted(self.ids[r, :length], v) for r, length in enumerate(self.prompt_lengths)])

    def _advance(self, states: list[object], at: int, chosen: Tensor) -> None:
        """Tell the constraint the token just written in each row that is neither in its prompt nor done."""
        assert self.constraint is not None
        for row, state in enumerate(states):
            if self.prompt_lengths[row] < at <= self.ends[row]:
                states[row] = self.constraint.advance(state, int(chosen[row, 0]))
                if self.constraint.complete(states[row]):
                    self.ends[row] = at

    def _allowed(self, states: list[object], at: int) -> Tensor:
        """What the constraint allows each row next, ``(b, v)``; a row in its prompt, or done, may do anything."""
        assert self.constraint is not None
        anything = torch.ones(self.predictor.vocabulary_size, dtype=torch.bool)
        rows = [
            self.constraint.allowed(state) if self.prompt_lengths[r] <= at < self.ends[r] else anything
            for r, state in enumerate(states)
        ]
        return torch.stack(rows)


def counted(ids: Tensor, vocabulary_size: int) -> Tensor:
    """How often each id is in ``ids (n,)``: ``(v,)`` float32."""
    return torch.bincount(ids, minlength=vocabulary_size).float()


def _page(predictor: Predictor, prompt: np.ndarray, tokens: int, sampling: Sampling, seed: int, row: int) -> np.ndarray:
    """One canvas of a predictor that chooses where to write; the prompt is its beginning (in cell order)."""
    count = predictor.context or len(prompt) + tokens
    length = count if has_pages(predictor) else min(count, len(prompt) + tokens)
    if len(prompt) >= length:
        raise UserError(f"the prompt has {len(prompt)} tokens, but a canvas of this model holds {count} in all.")
    page = torch.full((1, length), -1, dtype=torch.int64)
    page[0, : len(prompt)] = torch.from_numpy(np.asarray(prompt, dtype=np.int64))
    state = predictor.open(predictor.canvas(length), 1, page if len(prompt) else None)
    uniform, drawn = uniforms(seed, row, length), 0
    while (group := state.next_positions.shape[1]) > 0:
        cells = state.next_positions.cpu()
        seen = None
        if sampling.counts_tokens:
            seen = counted(page[page >= 0], predictor.vocabulary_size)[None]
        chosen = sampling.choose(state.log_probs().cpu(), seen, uniform[None, drawn : drawn + group])
        drawn += group
        page.scatter_(1, cells, chosen)
        state.write(chosen.to(state.next_positions.device))
    return page[0, : len(prompt) + tokens].numpy()
