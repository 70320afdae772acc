"""Speed of learning: our recipe beside nanoGPT's CPU recipe, by CPU time, on the same text in the same run.

The baseline is written here from its description: 4 layers, 4 heads, width 128, context 64, batch 12, 2,000 steps of
AdamW at 1e-3 with 100 steps of warm-up and a cosine to 1e-4, betas .9 and .99, weight decay .1, clipping at 1, learned
positions, LayerNorm without bias, GELU, tied head, no dropout, random crops. Losses are over the whole validation text
in windows of each one's own context, overlapping by half; their time is not counted. One thread.

Run: python -m benchmarks.learning [--text FILE] [--seeds N] [--json]
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.rounds import environment
from semagram.lab import recipes
from semagram.text import load_text
from semagram.trained import load
from semagram.training import train
from semagram.training.budget import Budget
from semagram.training.tokenised import TokenisedText

CONTEXT, BATCH, STEPS, WIDTH, HEADS, DEPTH = 64, 12, 2000, 128, 4, 4


class Baseline(nn.Module):
    """The plain pre-norm transformer of the recipe."""

    def __init__(self, vocabulary_size: int) -> None:
        super().__init__()
        self.token = nn.Embedding(vocabulary_size, WIDTH)
        self.place = nn.Embedding(CONTEXT, WIDTH)
        norm = lambda: nn.LayerNorm(WIDTH, bias=False)  # noqa: E731
        self.blocks = nn.ModuleList(
            nn.ModuleDict(
                {
                    "norm": norm(),
                    "qkv": nn.Linear(WIDTH, 3 * WIDTH, bias=False),
                    "out": nn.Linear(WIDTH, WIDTH, bias=False),
                    "norm2": norm(),
                    "up": nn.Linear(WIDTH, 4 * WIDTH, bias=False),
                    "down": nn.Linear(4 * WIDTH, WIDTH, bias=False),
                }
            )
            for _ in range(DEPTH)
        )
        self.norm = norm()
        for name, p in self.named_parameters():
            if p.dim() == 2:
                deep = name.endswith(("out.weight", "down.weight"))
                nn.init.normal_(p, std=0.02 / math.sqrt(2 * DEPTH) if deep else 0.02)

    def forward(self, ids: Tensor) -> Tensor:
        """``(b, n) -> (b, n, v)``."""
        b, n = ids.shape
        x = self.token(ids) + self.place.weight[:n]
        for block in self.blocks:
            q, k, v = block["qkv"](block["norm"](x)).view(b, n, 3, HEADS, -1).permute(2, 0, 3, 1, 4)
            x = x + block["out"](F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2))
            x = x + block["down"](F.gelu(block["up"](block["norm2"](x))))
        return F.linear(self.norm(x), self.token.weight)


def baseline(text: TokenisedText, seed: int) -> dict[str, float]:
    """Train it; CPU seconds of training and the final loss."""
    torch.manual_seed(seed)
    ids = torch.from_numpy(text.train.astype(np.int64))
    model = Baseline(text.tokenizer.vocabulary_size)
    groups = [
        {"params": [p for p in model.parameters() if p.dim() == 2], "weight_decay": 0.1},
        {"params": [p for p in model.parameters() if p.dim() < 2], "weight_decay": 0.0},
    ]
    optimiser = torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.99), fused=True)
    began, wall = time.process_time(), time.perf_counter()
    for step in range(STEPS):
        cosine = 0.5 * (1 + math.cos(math.pi * max(0, step - 100) / (STEPS - 100)))
        rate = 1e-3 * (step + 1) / 100 if step < 100 else 1e-4 + cosine * 9e-4
        for group in optimiser.param_groups:
            group["lr"] = rate
        starts = torch.randint(len(ids) - CONTEXT - 1, (BATCH,))
        window = ids[starts[:, None] + torch.arange(CONTEXT + 1)]
        logits = model(window[:, :-1])
        loss = F.cross_entropy(logits.flatten(0, 1), window[:, 1:].flatten())
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
    cpu, wall = time.process_time() - began, time.perf_counter() - wall
    found = {"cpu_seconds": cpu, "seconds": wall, "tokens": STEPS * BATCH * CONTEXT}
    return {**found, "nats": baseline_loss(model, torch.from_numpy(text.held_out.astype(np.int64)))}


@torch.no_grad()
def baseline_loss(model: Baseline, ids: Tensor) -> float:
    """Nats a character over all of ``ids`` but the first, each with half a context or more behind it."""
    stride, total, count = CONTEXT // 2, 0.0, 0
    for start in range(0, len(ids) - 1, stride):
        window = ids[start : start + CONTEXT + 1]
        nats = F.cross_entropy(model(window[None, :-1])[0], window[1:], reduction="none")
        new = nats if start == 0 else nats[CONTEXT - stride :]
        total, count = total + float(new.sum()), count + len(new)
        if start + CONTEXT + 1 >= len(ids):
            break
    return total / count


def ours(text: TokenisedText, seed: int, steps: int) -> dict[str, float]:
    """The default recipe for ``steps`` steps; its own score over the whole held-out text."""
    experiment = recipes.find("baseline").experiment
    training = replace(experiment.training, budget=Budget(steps, "steps"), threads=1, evaluate_every=1.0)
    experiment = replace(experiment, training=training, seed=seed)
    with tempfile.TemporaryDirectory() as folder:
        # Scoring is not training: the evaluation at the end is replaced by one that costs nothing.
        result = train(experiment, text, Path(folder) / "run", evaluate=lambda network: 0.0)
        model = load(Path(folder) / "run")
        score = model.score(text.tokenizer.decode(text.held_out))
    found = {"cpu_seconds": result.cpu_seconds, "seconds": result.seconds, "tokens": result.tokens}
    return {**found, "nats": score.nats_per_token, "parameters": model.parameters}


def main() -> None:
    """Alternate baseline, a quarter and the whole of its CPU time, seed by seed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--text", default="tinyshakespeare")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--steps", type=int, nargs="+", default=[240, 1500], help="budgets of ours, in steps")
    parser.add_argument("--out", type=Path, help="also append each row to this file of JSON lines")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    experiment = recipes.find("baseline").experiment
    text = TokenisedText.of(load_text([options.text]).text, experiment.tokenizer, 0.1)
    rows = []
    for seed in range(options.seeds):
        plain = baseline(text, seed)
        rows.append({"contestant": "nanoGPT's CPU recipe", "seed": seed, "share_of_cpu": 1.0, **plain})
        for steps in options.steps:
            found = ours(text, seed, steps)
            share = found["cpu_seconds"] / plain["cpu_seconds"]
            rows.append({"contestant": f"semagram, {steps} steps", "seed": seed, "share_of_cpu": share, **found})
        for row in rows[-1 - len(options.steps) :]:
            if options.out is not None:
                with options.out.open("a") as file:
                    print(json.dumps({**row, **environment()}), file=file)
            if not options.json:
                print(
                    f"seed {row['seed']}  {row['contestant']:<24} {row['nats']:.4f} nats   "
                    f"{row['cpu_seconds']:6.1f} CPU-s ({100 * row['share_of_cpu']:.0f} %)   {row['tokens']:,} tokens",
                    flush=True,
                )
    if options.json:
        print(json.dumps({"what": "learning", "environment": environment(), "results": rows}, indent=2))


if __name__ == "__main__":
    main()
