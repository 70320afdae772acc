"""Decompress: the text again, from the file and the model that wrote it, or an error; never another text.

What can go wrong is looked for in this order: damage to the file (before anything is decoded), another model, another
torch build (a warning, since it often does not matter), and at the end the SHA-256 of what was decoded, which decides.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np

from semagram.errors import UserError
from semagram.predictors.contract import Predictor
from semagram.text.tokenizer import Tokenizer
from semagram.verbs.coder import Decoder
from semagram.verbs.compress import ids_digest, text_digest
from semagram.verbs.container import Container, from_bytes, identity_digits
from semagram.verbs.determinism import facts, held_still, mark
from semagram.verbs.escapes import restore
from semagram.verbs.lockstep import walk
from semagram.verbs.windows import Plan, plan_of

Warn = Callable[[str], object]


def decompress_text(
    predictor: Predictor, tokenizer: Tokenizer, data: bytes, identity: str, *, warn: Warn = warnings.warn
) -> str:
    """The text of a file that ``compress_text`` wrote with a model of this ``identity`` (64 hexadecimal digits).

    ``warn`` is told, in one line, when another torch build or processor wrote the file. ``UserError`` when the file is
    damaged, was written by another model, or does not decode to its checksum; nothing is returned then.
    """
    found = _opened(data, identity, "text", warn)
    ids = _decoded(predictor, found)
    text, same = "", False
    try:
        text = restore(tokenizer.decode(ids, strict=True), found.escapes)
        same = text_digest(text.encode()) == found.digest and len(text) == found.characters
    except UserError:
        pass  # Ids that spell no text, or characters that do not fit it: not the text that was written.
    if not same:
        raise UserError(_mismatch("text", found))
    return text


def decompress(predictor: Predictor, data: bytes, identity: str, *, warn: Warn = warnings.warn) -> np.ndarray:
    """The ids ``(N,)`` int64 of a file that ``compress`` wrote; see ``decompress_text``."""
    found = _opened(data, identity, "ids", warn)
    ids = _decoded(predictor, found)
    if ids_digest(ids) != found.digest:
        raise UserError(_mismatch("row of ids", found))
    return ids


def decode_ids(predictor: Predictor, payload: bytes, plan: Plan) -> np.ndarray:
    """The ids ``(N,)`` int64 that ``encode_ids`` coded with the same plan."""
    decoder = Decoder(predictor.vocabulary_size, payload)
    ids = np.zeros(plan.count, dtype=np.int64)

    def decode(log_probs: np.ndarray, places: np.ndarray) -> np.ndarray:
        ids[places] = found = decoder.decode(log_probs)
        return found

    for canvases in plan.rounds():
        walk(predictor, canvases, ids, decode)
    return ids


def _opened(data: bytes, identity: str, holds: str, warn: Warn) -> Container:
    found = from_bytes(data)
    given = identity_digits(identity)
    if found.identity != given:
        raise UserError(f"this file was written by run {found.identity}..., you gave {given}...")
    if found.holds != holds:
        right = "decompress_text" if found.holds == "text" else "decompress"
        raise UserError(f"this file holds {found.holds}, not {holds}: read it with {right}.")
    if found.facts != mark():
        warn(f"this file was written with another torch build or processor than {facts()}; it may decode wrongly here.")
    return found


def _decoded(predictor: Predictor, found: Container) -> np.ndarray:
    plan = plan_of(predictor, found.count, found.stretches or None, found.stride)
    with held_still(found.threads):
        return decode_ids(predictor, found.payload, plan)


def _mismatch(what: str, found: Container) -> str:
    reason = "" if found.facts == mark() else f" It was written with another torch build or processor than {facts()}."
    return f"the decoded {what} does not match its checksum, so it is not given out.{reason}"
