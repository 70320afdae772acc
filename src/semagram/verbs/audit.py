"""Audit: is the score of a predictor, ours or anybody's, what it says? A dozen suspicions, seconds, plain words.

Any object with the ``Predictor`` contract can be audited, through an adapter of twenty lines if it is not ours
(``examples/audit_your_own.py``). It is asked as a decoder would ask it, twice with a changed future, in another
company, in parallel and step by step, and the answers are compared bit for bit; a piece of the text is coded and
decoded again. Positions are sampled, so an audit can find a fault but not prove that there is none. Docs:
``docs/audit.md``; the checks are proven on planted faults in ``tests/laws/planted``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from semagram.errors import UserError
from semagram.verbs.auditing import agreement, company, distribution, future, overlap, pipeline
from semagram.verbs.auditing.coding import score_decodes
from semagram.verbs.auditing.pipeline import Prepare
from semagram.verbs.auditing.probe import Probe, probe_of
from semagram.verbs.auditing.report import AuditReport, Finding, NotAsked, Suspicion
from semagram.verbs.determinism import held_still

__all__ = ["AuditReport", "Finding", "audit"]

Question = tuple[str, Callable[[], str]]


def audit(
    predictor: Any,
    text: str | np.ndarray,
    tokenizer: Any = None,
    *,
    training: str | Sequence[int] | None = None,
    prepare: Prepare | None = None,
    reload: Callable[[], Any] | None = None,
    rows: int = 3,
    cells: int = 128,
    steps: int = 48,
    threads: int = 1,
    name: str | None = None,
) -> AuditReport:
    """Look for leaks and dishonest numbers in ``predictor`` on a held-out ``text``.

    text: ids ``(N,)``, or a string with the ``tokenizer`` (anything with ``encode``) that makes ids of it. training:
    the text (or ids) it was trained on, to look for held-out passages in it. prepare: see ``auditing.pipeline``; needed
    only where a prediction uses more than ids. reload: gives the predictor back as saved and loaded. rows, cells,
    steps: how much is asked (canvases, cells of each, cells asked one by one). threads: of torch, meanwhile (small
    batches seldom want more). ``UserError`` for a text without ids.
    """
    if isinstance(text, str):
        if tokenizer is None:
            raise UserError("a text needs the tokenizer that makes ids of it: audit(predictor, text, tokenizer).")
        ids = np.asarray(tokenizer.encode(text), dtype=np.int64)
        places = 6 if prepare is None else 40
        prepare = prepare or (lambda changed: (predictor, np.asarray(tokenizer.encode(changed), dtype=np.int64)))
    else:
        ids, places = np.asarray(text), 6
    if rows < 1 or cells < 1 or steps < 1:
        raise UserError(f"rows, cells and steps must be at least 1, got {rows}, {cells} and {steps}.")
    began = time.perf_counter()
    probe = probe_of(predictor, ids, rows, cells, steps)
    with held_still(threads):
        findings = tuple(
            _ask(check, question)
            for check, question in _questions(probe, ids, text, tokenizer, training, prepare, reload, places)
        )
    return AuditReport(name or type(predictor).__name__, findings, time.perf_counter() - began)


def _questions(
    probe: Probe,
    ids: np.ndarray,
    text: Any,
    tokenizer: Any,
    training: Any,
    prepare: Prepare | None,
    reload: Any,
    places: int,
) -> Iterator[Question]:
    string = text if isinstance(text, str) else None
    yield "sums to one", lambda: distribution.sums_to_one(probe)
    yield "emits no reserved id", lambda: _vocabulary(probe, tokenizer)
    yield "offers each cell once", lambda: distribution.offers_each_cell_once(probe)
    yield "sees no future", lambda: future.sees_no_future(probe)
    yield "answers twice alike", lambda: agreement.answers_twice_alike(probe)
    yield "reading equals stepping", lambda: agreement.reading_equals_stepping(probe)
    yield "given equals written", lambda: agreement.given_equals_written(probe)
    yield "knows no company", lambda: company.knows_no_company(probe)
    yield "its score decodes", lambda: score_decodes(probe, ids, 4 * probe.steps)
    past = "text reaches no earlier answer"
    yield past, lambda: pipeline.text_reaches_no_earlier_answer(prepare, string, 160, places)
    yield "loaded equals kept", lambda: _reloaded(probe, reload)
    yield "held-out text is new", lambda: _new(training, text, ids)


def _ask(check: str, question: Callable[[], str]) -> Finding:
    """A finding, whatever the question comes to; a predictor that breaks while it is asked is broken."""
    try:
        return Finding(check, "kept", question())
    except Suspicion as found:
        return Finding(check, "broken", str(found), found.cell, found.place, found.size)
    except NotAsked as reason:
        return Finding(check, "not asked", f"not asked: {reason}")
    except NotImplementedError as reason:
        return Finding(check, "not asked", f"not asked: the predictor does not offer it ({reason})")
    except Exception as error:  # whatever a foreign predictor raises, the audit goes on and says so
        return Finding(check, "broken", f"it broke while it was asked: {type(error).__name__}: {error}")


def _vocabulary(probe: Probe, tokenizer: Any) -> str:
    v = getattr(tokenizer, "vocabulary_size", None)
    if v is not None and v != probe.vocabulary:
        raise Suspicion(
            f"the predictor emits {probe.vocabulary} ids, but the tokenizer knows {v}", size=probe.vocabulary - v
        )
    return distribution.emits_no_reserved_id(probe)


def _reloaded(probe: Probe, reload: Callable[[], Any] | None) -> str:
    if reload is None:
        raise NotAsked("no way to load it again was given")
    return agreement.reloaded(probe, reload)


def _new(training: Any, text: Any, ids: np.ndarray) -> str:
    held_out: Any = text if isinstance(training, str) and isinstance(text, str) else ids
    if isinstance(training, str) is not isinstance(held_out, str) and training is not None:
        raise NotAsked("give training and held-out text both as strings or both as ids")
    return overlap.held_out_is_held_out(training, held_out)
