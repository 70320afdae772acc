"""Audit a model that semagram knows nothing of: GPT-2 from Hugging Face, x-transformers, ten lines of n-gram.

    python examples/audit_your_own.py      (of the peers, those that are installed)

Whatever gives logits for ids becomes a predictor through ``LineByLogits`` (25 lines, blank ones aside). One of the
models below leaks: an x-transformers decoder with ``orthog_residual=True``, whose earlier logits change when the last
token does. The audit names it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from importlib.util import find_spec

import numpy as np
import torch
from rich.console import Console
from torch import Tensor

from semagram.layouts import Sequence
from semagram.verbs.audit import AuditReport, audit

V, CONTEXT = 27, 48
TEXT = "the quick brown fox jumps over the lazy dog and the five boxing wizards jump quickly " * 9


class Letters:
    """Text to ids: a space and a to z."""

    vocabulary_size = V

    def encode(self, text: str) -> np.ndarray:
        """(n,)."""
        return np.array([" abcdefghijklmnopqrstuvwxyz".index(c) for c in text], dtype=np.int64)


class LineByLogits:
    """The predictor contract for a function from ids (b, m) to next-id logits (b, m, V); id V begins a text."""

    vocabulary_size, context, fixed_order = V, CONTEXT, True

    def __init__(self, logits: Callable[[Tensor], Tensor]):
        self.logits, self.ids, self.length = logits, torch.empty(0, 0), 0

    def canvas(self, length):
        return Sequence(length)

    def open(self, layout, batch, given=None):
        state = LineByLogits(self.logits)
        begin = torch.full((batch, 1), V)
        known = begin[:, :0] if given is None else given[:, : int((given[0] >= 0).sum())]
        state.ids, state.length = torch.cat([begin, known], dim=1), layout.count
        return state

    @property
    def next_positions(self):
        return torch.arange(self.length)[self.ids.shape[1] - 1 :][:1].expand(self.ids.shape[0], -1)

    def log_probs(self):
        return torch.log_softmax(self.logits(self.ids)[:, -1:], dim=-1)

    def write(self, ids):
        self.ids = torch.cat([self.ids, ids], dim=1)

    def read(self, ids):
        start = self.ids.shape[1] - 1
        self.write(ids)
        return torch.log_softmax(self.logits(self.ids[:, :-1])[:, start:], dim=-1)


def gpt2() -> LineByLogits:
    """Hugging Face's GPT-2, with random weights."""
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    config = GPT2Config(vocab_size=V + 1, n_positions=CONTEXT, n_embd=32, n_layer=2, n_head=4)
    model = GPT2LMHeadModel(config).eval()
    return LineByLogits(lambda ids: model(input_ids=ids).logits[..., :V])


def x_transformer(**options: bool) -> LineByLogits:
    """An x-transformers decoder, with random weights and whatever options."""
    from x_transformers import Decoder, TransformerWrapper

    torch.manual_seed(0)
    layers = Decoder(dim=32, depth=2, heads=4, attn_dim_head=32, rotary_pos_emb=True, **options)
    model = TransformerWrapper(num_tokens=V + 1, max_seq_len=CONTEXT, attn_layers=layers).eval()
    return LineByLogits(lambda ids: model(ids)[..., :V])


def ngram(text: str) -> LineByLogits:
    """Counts of three letters, with a little of everything added."""
    ids = Letters().encode(text).tolist()
    seen = Counter(zip(ids, ids[1:], ids[2:], strict=False))

    def row(context: list[int]) -> list[float]:
        return [seen[(*context[-2:], i)] + 0.1 for i in range(V)] if len(context) > 2 else [1.0] * V

    def logits(ids: Tensor) -> Tensor:
        lines = [[row(line[: i + 1]) for i in range(len(line))] for line in ids.tolist()]
        return torch.tensor(lines, dtype=torch.float64).log()

    return LineByLogits(logits)


def reports() -> dict[str, AuditReport]:
    """The audits, by name."""
    training = TEXT[: len(TEXT) // 9].upper().lower()[::-1]  # backwards, so that the text held out is new
    models = {"ten lines of n-gram": ngram(training)}
    if find_spec("transformers"):
        models["GPT-2"] = gpt2()
    if find_spec("x_transformers"):
        models["x-transformers"] = x_transformer()
        models["x-transformers, orthog_residual"] = x_transformer(orthog_residual=True)
    return {name: audit(m, TEXT, Letters(), training=training, name=name, steps=16) for name, m in models.items()}


if __name__ == "__main__":
    if missing := [name for name in ("transformers", "x-transformers") if not find_spec(name.replace("-", "_"))]:
        print(f"{' and '.join(missing)} not installed, so left out; with them: pip install {' '.join(missing)}\n")
    for report in reports().values():
        Console().print(report.table())
