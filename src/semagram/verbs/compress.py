"""Compress: a text becomes a file by coding each id with the model's own prediction of it.

The file's size is the model's score, and nobody can argue with it, since ``decompress`` rebuilds the text from it. The
encoder takes the decoder's path, step by step with the same batch shape (``lockstep``), so that both see the same
probabilities to the bit; only where the decoder decodes an id does the encoder look it up.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np

from semagram.errors import UserError
from semagram.predictors.contract import Predictor
from semagram.text.tokenizer import Tokenizer, utf8
from semagram.verbs.coder import Encoder
from semagram.verbs.container import DIGEST_BYTES, MOST_THREADS, Container, identity_digits, to_bytes
from semagram.verbs.determinism import held_still, mark
from semagram.verbs.escapes import escape
from semagram.verbs.lockstep import walk
from semagram.verbs.windows import Plan, plan_of


def compress_text(
    predictor: Predictor,
    tokenizer: Tokenizer,
    text: str,
    identity: str,
    threads: int = 1,
    *,
    stretches: int | None = None,
    stride: int | None = None,
    parts: Mapping[str, bytes] | None = None,
) -> bytes:
    """The file that ``decompress_text`` turns into ``text`` again. Any text will do, the empty one too.

    identity: the SHA-256, as 64 hexadecimal digits, of configuration, weights and tokenizer. threads: of torch, 1 to
    255; one is best for small steps. stretches, stride: see ``plan_of``. parts: a model to embed, by file name.
    ``UserError`` for numbers out of range, a text with half a surrogate pair, a tokenizer that changes the text
    or knows more ids than the model.
    """
    data = utf8(text)
    writable, escapes = escape(tokenizer, text)
    ids = tokenizer.encode(writable)
    if tokenizer.decode(ids) != writable:
        raise UserError("this tokenizer does not give the text back as it was, so it cannot be compressed with it.")
    plan = plan_of(predictor, len(ids), stretches, stride)
    digest = text_digest(data)
    return _file(predictor, ids, plan, identity, threads, "text", digest, len(text), escapes, parts)


def compress(
    predictor: Predictor,
    ids: np.ndarray,
    identity: str,
    threads: int = 1,
    *,
    stretches: int | None = None,
    stride: int | None = None,
    parts: Mapping[str, bytes] | None = None,
) -> bytes:
    """The file that ``decompress`` turns into ``ids`` ``(N,)`` again; see ``compress_text``."""
    ids = checked_ids(predictor, ids)
    plan = plan_of(predictor, len(ids), stretches, stride)
    return _file(predictor, ids, plan, identity, threads, "ids", ids_digest(ids), 0, b"", parts)


def encode_ids(predictor: Predictor, ids: np.ndarray, plan: Plan) -> bytes:
    """The coded ids alone, without a header."""
    ids = checked_ids(predictor, ids)
    encoder = Encoder(predictor.vocabulary_size)

    def look_up(log_probs: np.ndarray, places: np.ndarray) -> np.ndarray:
        found = ids[places]
        encoder.encode(log_probs, found)
        return found

    for canvases in plan.rounds():
        walk(predictor, canvases, ids, look_up)
    return encoder.bytes()


def checked_ids(predictor: Predictor, ids: np.ndarray) -> np.ndarray:
    """``ids`` as int64; ``UserError`` unless they are one row of whole numbers in 0..v-1."""
    ids = np.asarray(ids)
    v = predictor.vocabulary_size
    if ids.ndim != 1 or (ids.size and ids.dtype.kind not in "iu"):
        raise UserError(f"ids must be one row of whole numbers, got shape {ids.shape} of {ids.dtype}.")
    if ids.size and not 0 <= int(ids.min()) <= int(ids.max()) < v:
        raise UserError(f"the model knows ids 0..{v - 1}, but the text has {int(ids.min())}..{int(ids.max())}.")
    return ids.astype(np.int64)


def text_digest(data: bytes) -> bytes:
    """What a file keeps of the SHA-256 of a text in UTF-8."""
    return hashlib.sha256(data).digest()[:DIGEST_BYTES]


def ids_digest(ids: np.ndarray) -> bytes:
    """What a file keeps of the SHA-256 of ids as little-endian int32."""
    return text_digest(ids.astype("<i4").tobytes())


def _file(
    predictor: Predictor,
    ids: np.ndarray,
    plan: Plan,
    identity: str,
    threads: int,
    holds: str,
    digest: bytes,
    characters: int,
    escapes: bytes,
    parts: Mapping[str, bytes] | None,
) -> bytes:
    if not 1 <= threads <= MOST_THREADS:
        raise UserError(f"threads must be from 1 to {MOST_THREADS}, got {threads}.")
    identity = identity_digits(identity)
    with held_still(threads):
        payload = encode_ids(predictor, ids, plan)
    container = Container(
        identity=identity,
        digest=digest,
        holds=holds,
        count=len(ids),
        characters=characters,
        stretches=plan.stretches,
        stride=plan.stride,
        threads=threads,
        facts=mark(),
        payload=payload,
        escapes=escapes,
        parts=dict(parts or {}),
    )
    return to_bytes(container)
