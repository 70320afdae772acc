"""Texts of the Hugging Face hub: `hf:name[:split][:column]`, through the optional package `datasets`.

`hf:roneneldan/TinyStories`, `hf:roneneldan/TinyStories:train[:1%]:text`, and with the name of a configuration
`hf:Salesforce/wikitext/wikitext-2-raw-v1:validation`. HF_ENDPOINT, HF_HOME and HF_HUB_OFFLINE work as
everywhere.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from semagram.errors import UserError, nearest


@dataclass(frozen=True)
class HuggingFaceText:
    """What a `hf:` source asks for; `column` None means `text`, or the only column of strings."""

    name: str
    configuration: str | None = None
    split: str = "train"
    column: str | None = None


def parse_hugging_face(given: str) -> HuggingFaceText:
    """Return what `given`, the part behind `hf:`, asks for. UserError if it is not name[:split][:column]."""
    parts = re.split(r":(?![^\[]*\])", given)  # not the colon of a slice: train[:1%]
    if not 1 <= len(parts) <= 3 or not all(parts):
        raise UserError(f'"hf:{given}" must be hf:name, hf:name:split or hf:name:split:column.')
    pieces = parts[0].split("/")
    if len(pieces) > 3 or not all(pieces):
        raise UserError(f'"{parts[0]}" must be a data set name, owner/name or owner/name/configuration.')
    return HuggingFaceText(
        name="/".join(pieces[:2]),
        configuration=pieces[2] if len(pieces) == 3 else None,
        split=parts[1] if len(parts) > 1 else "train",
        column=parts[2] if len(parts) > 2 else None,
    )


def load_hugging_face(wanted: HuggingFaceText) -> str:
    """Return the rows of the column, one after the other with a line feed between.

    UserError if `datasets` is missing, the data set cannot be loaded, or it has no such column of strings.
    """
    try:
        import datasets  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise UserError("hf: sources need the package datasets; install it with: pip install datasets") from None
    try:
        rows = datasets.load_dataset(wanted.name, wanted.configuration, split=wanted.split)
    except Exception as error:  # the package raises of many kinds, often with several lines
        reason = " ".join(str(error).split())
        raise UserError(f"cannot load hf:{wanted.name} ({wanted.split}): {reason[:400]}") from None
    column = _column(wanted, rows.features)
    return "\n".join(text for text in rows[column] if text)


def _column(wanted: HuggingFaceText, features: Mapping[str, Any]) -> str:
    strings = [name for name, feature in features.items() if getattr(feature, "dtype", None) in _STRING_TYPES]
    if wanted.column is not None:
        if wanted.column not in strings:
            raise UserError(
                f'hf:{wanted.name} has no column "{wanted.column}" of strings; '
                f"it has: {', '.join(strings) or 'none'}." + nearest(wanted.column, strings)
            )
        return wanted.column
    if "text" in strings:
        return "text"
    if len(strings) != 1:
        raise UserError(
            f"hf:{wanted.name} has the string columns {', '.join(strings) or '(none)'}; "
            f"name one: hf:{wanted.name}:{wanted.split}:COLUMN"
        )
    return strings[0]


_STRING_TYPES = ("string", "large_string")
