"""Labels by a Python function: ``FILE.py:function``, written by hand or by ``semagram distil``.

The function takes a text and gives one whole number per character. Beside it in the file stands ``NAMES``, what the
tags are called, "none" first. A file may also say ``CONTEXT = n``: the tag of a character depends on the n characters
up to it alone, so that it can be read while a text is written without reading all of it again. A promise to be causal
is not believed but measured: ``peek_rate``. The file is code that runs with your rights; with ``sha256`` it must be the
very file that was meant.
"""

from __future__ import annotations

import hashlib
import importlib.util
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from types import ModuleType

import numpy as np

from semagram.errors import UserError
from semagram.text.labels.contract import Alignment, LabelReader, Tags, TextLabeller


@dataclass(frozen=True)
class Function(TextLabeller):
    """What a Python function says."""

    source: str
    """FILE.py:function."""
    causal_by_promise: bool = False
    """You promise that a tag depends on nothing that follows its character; measure it with ``peek_rate``."""
    sha256: str = ""
    """Of the file, in hexadecimal digits; empty: any."""

    def __post_init__(self) -> None:
        file, colon, name = self.source.rpartition(":")
        if not colon or not file.endswith(".py") or not name.isidentifier():
            raise UserError(f"a function must be given as FILE.py:function, got {self.source!r}.")

    @property
    def alignment(self) -> Alignment:
        """As promised."""
        return "running" if self.causal_by_promise else "whole"

    def pinned(self) -> Function:
        """The same, with the checksum of the file as it is now."""
        return replace(self, sha256=hashlib.sha256(self._file.read_bytes()).hexdigest())

    def names(self) -> tuple[str, ...]:
        """``NAMES`` of the file."""
        names = getattr(self._module, "NAMES", None)
        if not isinstance(names, (tuple, list)) or not names or names[0] != "none" or len(set(names)) < len(names):
            raise UserError(f'{self._file} must say NAMES = ("none", ...), each name once; it has {names!r}.')
        return tuple(map(str, names))

    def label(self, text: str) -> Tags:
        """(len(text),). ``UserError`` if the function gives anything else than one tag a character."""
        name = self.source.rpartition(":")[2]
        function = getattr(self._module, name, None)
        if not callable(function):
            raise UserError(f"{self._file} has no function {name}.")
        labels = np.asarray(function(text), dtype=np.int64).reshape(-1)
        size = len(self.names())
        if len(labels) != len(text) or (labels.size and not 0 <= labels.min() <= labels.max() < size):
            raise UserError(
                f"{self.source} must give {len(text)} tags of 0..{size - 1}, one a character; it gave {len(labels)}"
                + (f" of {labels.min()}..{labels.max()}." if labels.size else ".")
            )
        return labels

    def context(self, text: str, end: int) -> int:
        """What the file says by ``CONTEXT``."""
        reach = getattr(self._module, "CONTEXT", None)
        return 0 if reach is None else max(0, end - reach)

    def reader(self) -> LabelReader:
        """Only where ``causal_by_promise``."""
        return _Reader(self) if self.causal else super().reader()

    @property
    def _file(self) -> Path:
        return Path(self.source.rpartition(":")[0])

    @cached_property
    def _module(self) -> ModuleType:
        file = self._file
        if not file.is_file():
            raise UserError(f"there is no file {file} with a labeller.")
        found = hashlib.sha256(file.read_bytes()).hexdigest()
        if self.sha256 not in ("", found):
            raise UserError(f"{file} is not the file that was meant: its SHA-256 is {found}, not {self.sha256}.")
        spec = importlib.util.spec_from_file_location(f"labeller_{file.stem}", file)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        try:
            spec.loader.exec_module(module)
        except Exception as error:
            raise UserError(f"the labeller {file} does not run: {type(error).__name__}: {error}.") from error
        return module


class _Reader:
    def __init__(self, of: Function) -> None:
        self.of, self.text = of, ""

    def read(self, char: str) -> int:
        self.text += char
        self.text = self.text[self.of.context(self.text, len(self.text)) :]
        return self.of.last(self.text, len(self.text))
