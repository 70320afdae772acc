"""``semagram generate RUN --prompt "Once"``: continue a prompt, as it is written."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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
    show_axes: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Print the tags of the model's axes above the text."""
    without_axes: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Write as if all tags were unknown."""
    given: tuple[str, ...] = ()
    """AXIS=TAG: the tag that a Given axis has everywhere."""
    given_like: str | None = None
    """Write to the pattern of tags of this text (prompt and continuation)."""
    guidance: float | None = None
    """How far to follow the tags: 1 plainly, above 1 further, 0 not at all; for axes trained with dropout."""
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
    writer = _steered(model, options)
    live = len(prompts) == 1 and options.samples == 1 and not options.json and not options.show_axes
    if live:
        print(prompts[0], end="", flush=True)
    # A stop text may show its beginning before it is complete, so with one the text is printed at the end.
    streaming = live and not options.stop and options.beams is None
    texts = writer.generate(
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
    if options.show_axes:
        _show(model, texts if isinstance(texts, list) else [texts])
    elif options.json:
        json.dump({"texts": texts}, sys.stdout, ensure_ascii=False)
        print()
    elif live:
        print("" if streaming else texts[0][len(prompts[0]) :])
    else:
        for number, text in enumerate(texts, start=1):
            print(f"--- {number} ---\n{text}")
    return 0


def _steered(model: Any, options: Generate) -> Any:
    """The model, or what its axes are made to do."""
    if not (options.without_axes or options.given or options.given_like is not None or options.guidance is not None):
        return model
    from semagram.lab.axes import steered
    from semagram.trained import TrainedModel

    if not isinstance(model, TrainedModel):
        raise UserError("axes of tags are steered in a single run, not in an ensemble.")
    wrong = next((word for word in options.given if "=" not in word), None)
    if wrong is not None:
        raise UserError(f"--given is written AXIS=TAG, got {wrong!r}.")
    constant = dict(word.split("=", 1) for word in options.given)
    return steered(
        model, like=options.given_like, constant=constant, guidance=options.guidance, without=options.without_axes
    )


def _show(model: Any, texts: list[str]) -> None:
    """Each text with its tags above it; of tags that were written with it, what the labeller says of it."""
    from semagram.lab.axes import above, tags_beside

    for text in texts:
        print(above(*tags_beside(model, model.encode(text))))


def _draft(name: str | None) -> Writer | Draft | None:
    """Who is meant by ``--draft``."""
    from semagram.lab.ensembles import load_either
    from semagram.verbs.drafts import HeadsDraft, PromptLookup

    if name is None:
        return None
    return {"ngram": PromptLookup, "heads": HeadsDraft}[name]() if name in ("ngram", "heads") else load_either(name)
