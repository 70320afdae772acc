"""Generation with state: tokens a second beside recomputing the prefix, and beside x-transformers' own cache.

Width 256, depth 6, 4 heads of 64, vocabulary 65; all alternate in one process, round after round, and ratios are
taken within a round, since the machine may be shared. Run: python -m benchmarks.generation [--threads N] [--json]
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable

import numpy as np
import torch

from benchmarks.rounds import alternate, environment
from semagram.feedforward import MLP, LayerNorm
from semagram.layouts import Sequence, Visibility
from semagram.layouts.geometry import Geometry
from semagram.mixers import Attention, NoPositions
from semagram.models import Transformer
from semagram.models.embedding import Embedding, LearnedPositions
from semagram.predictors import CausalPredictor
from semagram.verbs.generate import generate
from semagram.verbs.sampling import Sampling

PROMPT, TOKENS, VOCABULARY = 32, 224, 65
CONTEXT = PROMPT + TOKENS


DEFAULT = Transformer(width=256, depth=6, mixer=Attention(heads=4))
ALIKE = Transformer(
    width=256,
    depth=6,
    mixer=Attention(heads=4, sharpness=None),
    feedforward=MLP(activation="gelu"),
    norm=LayerNorm(),
    shift=None,
    logit_cap=None,
)
"""The parts that x-transformers' decoder has with flash and rotary on."""
PLAIN = Transformer(
    width=256,
    depth=6,
    mixer=Attention(heads=4, sharpness=None, positions=NoPositions()),
    feedforward=MLP(activation="gelu"),
    norm=LayerNorm(),
    embedding=Embedding(positions=LearnedPositions(CONTEXT)),
    shift=None,
    logit_cap=None,
)
"""The parts that it has by default: learned positions, nothing to turn."""


def ours(batch: int, model: Transformer = ALIKE) -> Callable[[], None]:
    """Our verb: one step of the state a token."""
    network = model.build(VOCABULARY, Sequence(CONTEXT), Visibility.CAUSAL)
    predictor = CausalPredictor(network.eval(), Sequence(CONTEXT))
    prompts = [np.zeros(PROMPT, dtype=np.int64)] * batch
    return lambda: generate(predictor, prompts, TOKENS, Sampling(top_k=7)) and None


def recomputing(batch: int, tokens: int, shortest: int = PROMPT) -> Callable[[], None]:
    """The same network without a state: the whole prefix again for each token.

    The prefixes are ``shortest`` to 256 tokens long, evenly: from the prompt's length as our own verb goes through
    them, or always the whole context, as a text longer than the context asks for.
    """
    network = ALIKE.build(VOCABULARY, Sequence(CONTEXT), Visibility.CAUSAL)
    network.eval()
    whole = Geometry.of(Sequence(CONTEXT).positions(), Visibility.CAUSAL)

    def go() -> None:
        with torch.inference_mode():
            for length in np.linspace(shortest, CONTEXT, tokens).astype(int):
                ids = torch.zeros(batch, int(length), dtype=torch.int64)
                network(ids, whole.narrow(0, int(length)))[:, -1].argmax(-1)

    return go


def x_transformers(batch: int, **features: bool) -> Callable[[], None]:
    """x-transformers' own cached generation of a model of the same size."""
    from x_transformers import AutoregressiveWrapper, Decoder, TransformerWrapper

    model = AutoregressiveWrapper(
        TransformerWrapper(
            num_tokens=VOCABULARY,
            max_seq_len=CONTEXT,
            attn_layers=Decoder(dim=256, depth=6, heads=4, attn_dim_head=64, **features),
        )
    ).eval()
    prompt = torch.zeros(batch, PROMPT, dtype=torch.int64)

    def go() -> None:
        with torch.inference_mode():
            model.generate(prompt, TOKENS, cache_kv=True)

    return go


def main() -> None:
    """Print a table, or JSON."""
    rounds = 5
    if "--threads" in sys.argv:
        torch.set_num_threads(int(sys.argv[sys.argv.index("--threads") + 1]))
    results = []
    for batch in (1, 16):
        share = 24 if batch == 1 else 8
        contestants = {
            "semagram, the same parts": ours(batch),
            "semagram, the parts of its default": ours(batch, PLAIN),
            "semagram, its own default parts": ours(batch, DEFAULT),
            "x-transformers": x_transformers(batch),
            "x-transformers, flash and rotary": x_transformers(batch, attn_flash=True, rotary_pos_emb=True),
            "semagram, recomputing 32 to 256 tokens": recomputing(batch, share),
            "semagram, recomputing 256 tokens": recomputing(batch, share, CONTEXT),
        }
        seconds = alternate(contestants, rounds)
        for name in (n for n in seconds if "recomputing" in n):
            seconds[name] = [s * TOKENS / share for s in seconds[name]]
        for name, values in seconds.items():
            # Each against ours with its own parts.
            like = "semagram, the parts of its default" if name == "x-transformers" else "semagram, the same parts"
            ratios = [v / own for v, own in zip(values, seconds[like], strict=True)]
            results.append(
                {
                    "batch": batch,
                    "contestant": name,
                    "tokens_per_second": batch * TOKENS / float(np.median(values)),
                    "times_ours": float(np.median(ratios)),
                    "spread": [min(ratios), max(ratios)],
                }
            )
    told = {"what": "generation", "rounds": rounds, "environment": environment(), "results": results}
    if "--json" in sys.argv:
        print(json.dumps(told, indent=2))
        return
    for r in results:
        low, high = r["spread"]
        print(
            f"batch {r['batch']:>2}  {r['contestant']:<39} {r['tokens_per_second']:8.0f} tokens/s   "
            f"{r['times_ours']:5.2f} x our time ({low:.2f} to {high:.2f})"
        )


if __name__ == "__main__":
    began = time.time()
    main()
    print(f"{time.time() - began:.0f} s", file=sys.stderr)
