"""``semagram generate RUN --prompt "Once"``: continue a prompt, as it is written."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from semagram.commands.options import parse
from semagram.errors import UserError

if TYPE_CHECKING:
    from semagram.verbs.speculative import Draft
    from semagram.verbs.write_text import Writer


@dataclass(frozen=True)
class Generate:
    """Continue a prompt with a trained model."""

    run: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """Folder of the trained model, or of an ensemble."""
    prompt: tuple[str, ...] = ("",)
    """Beginning of the text; several are continued in one batch."""
    prompt_file: Path | None = None
    """Read the prompt from a file."""
    tokens: int = 300
    """Tokens to write."""
    temperature: float = 0.8
    """Below 1 sharpens, above 1 flattens, 0 always takes the likeliest."""
    top_k: int | None = None
    """Keep the k likeliest tokens."""
    top_p: float | None = None
    """Keep the likeliest tokens that together have this probability."""
    min_p: float | None = None
    """Keep tokens at least this share as likely as the likeliest."""
    repetition_penalty: float = 1.0
    """Above 1: tokens already in the text become less likely."""
    typical_p: float | None = None
    """Keep the tokens whose surprise is nearest the expected one, that together have this probability."""
    eta: float | None = None
    """Drop tokens less likely than the smaller of this and sqrt(this) * exp(-entropy)."""
    top_a: float | None = None
    """Keep tokens at least this times the squared probability of the likeliest as likely."""
    frequency_penalty: float = 0.0
    """Taken from a token's log-probability for each time it is in the text."""
    presence_penalty: float = 0.0
    """Taken from the log-probability of each token that is in the text."""
    ban: tuple[str, ...] = ()
    """Tokens that are never written."""
    pattern: str | None = None
    """A regular expression that the continuation matches."""
    beams: int | None = None
    """Search for the likeliest text with so many beams, and draw nothing."""
    length_penalty: float = 1.0
    """Power of the length by which beams with a stop are ranked."""
    draft: str | None = None
    """Who proposes tokens to be checked together: ngram (what followed the same tokens earlier in the text), heads (the
    model's own further heads), or the folder of a quicker run. The text's distribution stays the same."""
    ahead: int = 4
    """Tokens proposed at a time."""
    contrast: str | None = None
    """Folder of a poorer run whose habits are held against the model's."""
    strength: float = 0.5
    """How much they are."""
    stop: str | None = None
    """End before this text."""
    samples: int = 1
    """Texts for each prompt."""
    seed: int = 0
    """Of the draws; the same seed writes the same text."""
    json: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Print the texts as JSON when they are done."""


def run(arguments: list[str]) -> int:
    """The command."""
    options = parse(Generate, arguments, "semagram generate")
    prompts = list(options.prompt)
    if options.prompt_file is not None:
        if not options.prompt_file.is_file():
            raise UserError(f"there is no file {options.prompt_file}.")
        prompts = [options.prompt_file.read_text(encoding="utf-8")]
    import torch

    from semagram.lab.ensembles import load_either

    model = load_either(options.run)
    if model.experiment.training.threads is not None:
        torch.set_num_threads(model.experiment.training.threads)
    live = len(prompts) == 1 and options.samples == 1 and not options.json
    if live:
        print(prompts[0], end="", flush=True)
    # A stop text may show its beginning before it is complete, so with one the text is printed at the end.
    streaming = live and not options.stop and options.beams is None
    texts = model.generate(
        prompts,
        options.tokens,
        temperature=options.temperature,
        top_k=options.top_k,
        top_p=options.top_p,
        min_p=options.min_p,
        repetition_penalty=options.repetition_penalty,
        typical_p=options.typical_p,
        eta=options.eta,
        top_a=options.top_a,
        frequency_penalty=options.frequency_penalty,
        presence_penalty=options.presence_penalty,
        ban=options.ban,
        pattern=options.pattern,
        beams=options.beams,
        length_penalty=options.length_penalty,
        draft=_draft(options.draft),
        ahead=options.ahead,
        contrast=None if options.contrast is None else load_either(options.contrast),
        strength=options.strength,
        stop=options.stop,
        samples=options.samples,
        seed=options.seed,
        stream=(lambda _row, piece: print(piece, end="", flush=True)) if streaming else None,
    )
    if options.json:
        json.dump({"texts": texts}, sys.stdout, ensure_ascii=False)
        print()
    elif live:
        print("" if streaming else texts[0][len(prompts[0]) :])
    else:
        for number, text in enumerate(texts, start=1):
            print(f"--- {number} ---\n{text}")
    return 0


def _draft(name: str | None) -> Writer | Draft | None:
    """Who is meant by ``--draft``."""
    from semagram.lab.ensembles import load_either
    from semagram.verbs.drafts import HeadsDraft, PromptLookup

    if name is None:
        return None
    return {"ngram": PromptLookup, "heads": HeadsDraft}[name]() if name in ("ngram", "heads") else load_either(name)
