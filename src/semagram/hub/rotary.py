"""Rotary settings of a ``config.json``: ``rope_parameters`` of today, ``rope_theta`` and ``rope_scaling`` before."""

from __future__ import annotations

from typing import Any

from semagram.errors import UserError
from semagram.hub.settings import Settings
from semagram.mixers import Interpolation, Llama3, Rotary, Scaling, YaRN


def rotary(settings: Settings, *, fraction: float = 1.0, base: float = 10_000.0, kind: str | None = None) -> Rotary:
    """The positions; ``kind`` is a layer's where kinds of layers differ (Gemma 3). ``UserError`` for unknown rules."""
    given: dict[str, Any] = dict(settings.get("rope_parameters", {}))
    if kind is not None and kind in given:
        given = dict(given[kind])
    old = settings.get("rope_scaling", {})
    given = {**old, **given}
    base = float(given.get("rope_theta") or settings.get("rope_theta") or settings.get("rotary_emb_base") or base)
    share = given.get("partial_rotary_factor") or settings.get("partial_rotary_factor") or settings.get("rotary_pct")
    return Rotary(base=base, fraction=float(share or fraction), scaling=scaling(settings, given))


def scaling(settings: Settings, given: dict[str, Any]) -> Scaling | None:
    """The rule that slows the planes, or none."""
    rule = given.get("rope_type") or given.get("type") or "default"
    factor = float(given.get("factor") or 1.0)
    trained = given.get("original_max_position_embeddings") or settings.get("max_position_embeddings", 2048)
    if rule == "default" or (factor == 1.0 and rule in ("linear", "yarn", "llama3")):
        return None
    if rule == "linear":
        return Interpolation(factor)
    if rule == "llama3":
        return Llama3(factor, int(trained), float(given["high_freq_factor"]), float(given["low_freq_factor"]))
    if rule == "yarn":
        unknown = [name for name in ("mscale", "mscale_all_dim") if given.get(name) is not None]
        unknown += ["truncate"] if given.get("truncate") is False else []
        if unknown:
            raise UserError(
                f"a {settings.family} model with yarn's {unknown[0]}={given[unknown[0]]!r} is not supported."
            )
        fast, slow = float(given.get("beta_fast") or 32.0), float(given.get("beta_slow") or 1.0)
        return YaRN(factor, int(trained), fast, slow, given.get("attention_factor"))
    raise UserError(
        f"a {settings.family} model with rope_type={rule!r} is not supported; it may be default, linear, llama3, yarn"
        f"{' (dynamic scaling changes keys that are read already)' if rule == 'dynamic' else ''}."
    )
