"""Texts that come with every Python, so that there is something to learn from without any download.

All three differ from one Python version to the next; a text's SHA-256 tells. Licence: PSF.
"""

import ast
import sysconfig
import tokenize
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path

from semagram.errors import UserError

# Tests are no prose and no model code; bundled wheels and the build's own settings differ per machine.
_SKIPPED_FOLDERS = frozenset(
    {"test", "tests", "idle_test", "__pycache__", "site-packages", "dist-packages", "_bundled"}
)
_SKIPPED_FILES = "_sysconfigdata"


def python_topics() -> str:
    """Return the topics of the language reference (what `help('for')` shows), in the order of their names."""
    from pydoc_data.topics import topics

    return "\n".join(topics[name] for name in sorted(topics))


def library_docstrings(folder: Path | None = None) -> str:
    """Return every docstring of the standard library (or of the *.py below `folder`), one blank line between.

    UserError if there is none. Takes some seconds: each file is parsed.
    """
    found: list[str] = []
    for source in _sources(folder):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # old escapes in old files are not the user's business
                tree = ast.parse(source)
        except (SyntaxError, ValueError):
            continue  # templates and files for other versions
        found += [docstring for docstring in _docstrings([tree]) if _is_plain(docstring)]
    if not found:
        raise UserError(f"no docstrings below {folder or _library()}: this Python comes without its sources.")
    return "\n\n".join(found) + "\n"


def library_code(folder: Path | None = None) -> str:
    """Return the source of the standard library (or of the *.py below `folder`), sorted by path.

    UserError if there is none.
    """
    found = [source for source in _sources(folder) if source and _is_plain(source)]
    if not found:
        raise UserError(f"no sources below {folder or _library()}: this Python comes without its sources.")
    return "\n".join(found)


def _library() -> Path:
    return Path(sysconfig.get_paths()["stdlib"])


def _sources(folder: Path | None) -> Iterator[str]:
    root = folder or _library()
    paths = [path.relative_to(root) for path in root.rglob("*.py")]
    for path in sorted(paths, key=lambda path: path.parts):
        if _SKIPPED_FOLDERS.isdisjoint(path.parts[:-1]) and not path.name.startswith(_SKIPPED_FILES):
            try:
                with tokenize.open(root / path) as file:
                    yield file.read()
            except (SyntaxError, UnicodeDecodeError, OSError):
                continue


def _docstrings(body: Iterable[ast.AST]) -> Iterator[str]:
    """The docstrings of the definitions in `body` and of all inside them, as they stand."""
    for node in body:
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            docstring = ast.get_docstring(node)
            if docstring:
                yield docstring
        for field in (
            "body",
            "handlers",
            "orelse",
            "finalbody",
            "cases",
        ):  # statements only: expressions have none
            inner = getattr(node, field, None)
            if isinstance(inner, list):
                yield from _docstrings(inner)


def _is_plain(text: str) -> bool:
    """No NUL, and no lone surrogate, which no tokenizer could take."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return "\0" not in text
