"""Does the score decode? A piece of the text is coded with the model's own predictions, decoded, and weighed."""

from __future__ import annotations

import math

import numpy as np

from semagram.errors import UserError
from semagram.verbs.auditing.probe import Probe
from semagram.verbs.auditing.report import Suspicion

_LEAST_SLACK = 64.0
"""Bits: the ends of the coder's stream."""


def score_decodes(probe: Probe, ids: np.ndarray, cells: int) -> str:
    """The coded piece decodes to itself, and is as long as the score of the same ids says."""
    from semagram.verbs.compress import encode_ids
    from semagram.verbs.decompress import decode_ids
    from semagram.verbs.score import score
    from semagram.verbs.windows import plan_of

    piece = np.asarray(ids[: max(cells, probe.page.shape[1])], dtype=np.int64)
    plan = plan_of(probe.predictor, len(piece), 1)
    try:
        payload = encode_ids(probe.predictor, piece, plan)
        back = decode_ids(probe.predictor, payload, plan)
    except (UserError, RuntimeError, ValueError) as error:
        raise Suspicion(f"the text cannot be coded: {error}") from error
    if not np.array_equal(back, piece):
        place = int((back != piece).nonzero()[0][0])
        raise Suspicion(
            f"the coded text decodes to another one from id {place} on: no decoder can follow it", place=place
        )
    bits = 8.0 * len(payload)
    # The contract's own path for a fixed order: what a fast scorer would report.
    said = score(probe.predictor, piece, stretches=1, parallel=probe.fixed_order).total_nats / math.log(2)
    slack = _LEAST_SLACK + 0.002 * bits
    if abs(bits - said) > slack:
        raise Suspicion(
            f"{len(piece)} ids score {said:.0f} bits, but their file has {bits:.0f}: the score is not a code length",
            size=bits - said,
        )
    return f"{len(piece)} ids decode from a file of {len(payload)} bytes, {bits - said:+.0f} bits from their score"
