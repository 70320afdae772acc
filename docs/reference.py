"""The API reference, read from the source: a page a module, an overview a shelf. Nothing is imported.

What is public (no leading underscore) and has a docstring is shown: signature, docstring, and for a configuration its
fields with their defaults and the docstring below each. ``modules()`` is what the tests hold against the code.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from html import escape
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src" / "semagram"
SHELVES = {
    "": "the package itself",
    "layouts": "WHERE tokens stand",
    "mixers": "HOW positions talk",
    "feedforward": "WITHIN one position",
    "models": "WIRING",
    "objectives": "WHAT is asked",
    "predictors": "WHO answers the contract",
    "verbs": "generate, score, compress, audit, and what they are made of",
    "text": "text <-> ids",
    "training": "one explicit loop",
    "lab": "many runs, one answer",
    "recipes": "typed, runnable values",
    "hub": "doors to other ecosystems",
}
Named = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    """One file: its dotted name below ``semagram``, its shelf, and its parsed source."""

    name: str
    shelf: str
    tree: ast.Module

    @property
    def page(self) -> str:
        """File of its page."""
        return f"{self.name or 'semagram'}.md"

    @property
    def public(self) -> list[Named]:
        """Classes and functions that are shown."""
        found = (node for node in self.tree.body if isinstance(node, Named))
        return [node for node in found if not node.name.startswith("_") and ast.get_docstring(node)]


def modules() -> list[Module]:
    """Every module that is on a shelf, by shelf and name; commands and private ones are left out."""
    found = []
    for path in sorted(SOURCE.rglob("*.py")):
        words = path.relative_to(SOURCE).with_suffix("").parts
        words = words[:-1] if words[-1] == "__init__" else words
        shelf = words[0] if words and words[0] in SHELVES else ""
        known = shelf or len(words) <= 1
        if known and words[:1] not in (("commands",), ("cli",), ("__main__",)) and not any(w[:1] == "_" for w in words):
            found.append(Module(".".join(words), shelf, ast.parse(path.read_text(encoding="utf-8"))))
    return found


def write(folder: Path) -> None:
    """The pages and their overview, ``index.md``, into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    every = modules()
    overview = [
        "# Reference",
        "",
        "Every public class and function, from the docstrings. A shelf holds parts of a kind.",
    ]
    for shelf, told in SHELVES.items():
        said = f"{told[0].upper()}{told[1:]}."
        overview += ["", f"## {shelf or 'semagram'}", "", said, "", "| module | |", "|---|---|"]
        for module in every:
            if module.shelf == shelf:
                title = module.name.removeprefix(f"{shelf}.") if shelf else module.name or "semagram"
                overview.append(f"| [{title}]({module.page}) | {_cell(_first(module.tree))} |")
                (folder / module.page).write_text(_page(module), encoding="utf-8")
    (folder / "index.md").write_text("\n".join(overview) + "\n", encoding="utf-8")


def _page(module: Module) -> str:
    name = f"semagram.{module.name}".rstrip(".")
    lines = [f"# {name}", "", _prose(ast.get_docstring(module.tree) or "")]
    for node in module.public:
        said = _prose(ast.get_docstring(node) or "")
        lines += ["", f"## {node.name}", "", "```python", _signature(node), "```", "", said]
        if isinstance(node, ast.ClassDef):
            lines += _fields(node) + _methods(node)
    return "\n".join(lines) + "\n"


def _signature(node: Named) -> str:
    if isinstance(node, ast.ClassDef):
        bases = ", ".join(ast.unparse(base) for base in node.bases)
        return f"class {node.name}({bases})" if bases else f"class {node.name}"
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    one_line = f"def {node.name}({ast.unparse(node.args)}){returns}"
    if len(one_line) <= 100:
        return one_line
    arguments = ast.unparse(node.args)
    # A long signature has an argument a line; commas inside brackets do not part arguments.
    depth, start, parts = 0, 0, []
    for place, letter in enumerate(arguments):
        depth += (letter in "([{") - (letter in ")]}")
        if letter == "," and depth == 0:
            parts.append(arguments[start:place].strip())
            start = place + 1
    parts.append(arguments[start:].strip())
    inside = "".join(f"    {part},\n" for part in parts)
    return f"def {node.name}(\n{inside}){returns}"


def _fields(node: ast.ClassDef) -> list[str]:
    rows = []
    for place, field in enumerate(node.body):
        if not isinstance(field, ast.AnnAssign) or not isinstance(field.target, ast.Name) or field.target.id[0] == "_":
            continue
        after = node.body[place + 1] if place + 1 < len(node.body) else None
        said = after.value.value if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) else ""
        default = re.sub(r"^field\(default_factory=([\w.]+)\)$", r"\1()", ast.unparse(field.value or ast.Name("")))
        default = _code(default) if default else ""
        kind = _code(ast.unparse(field.annotation))
        rows.append(f"| `{field.target.id}` | {kind} | {default} | {_cell(_prose(str(said)))} |")
    return ["", "| field | type | default | |", "|---|---|---|---|", *rows] if rows else []


def _methods(node: ast.ClassDef) -> list[str]:
    found = []
    for method in node.body:
        if isinstance(method, ast.FunctionDef) and method.name[0] != "_" and ast.get_docstring(method):
            kinds = {ast.unparse(d) for d in method.decorator_list}
            call = method.name if "property" in kinds else f"{method.name}({_without_self(method)})"
            found.append(f"- `{call}`: {_first(method)}")
    return ["", *found] if found else []


def _without_self(method: ast.FunctionDef) -> str:
    return re.sub(r"^(self|cls)(, )?", "", ast.unparse(method.args))


def _first(node: ast.Module | Named) -> str:
    """The first paragraph of a docstring, in one line."""
    return " ".join(_prose((ast.get_docstring(node) or "").split("\n\n")[0]).split())


def _prose(docstring: str) -> str:
    """Docstring to Markdown: literals have one backtick, and what looks like a tag outside them is none."""
    parts = re.split(r"(``[^`]+``|`[^`]+`)", docstring)
    return "".join(
        f"`{part.strip('`')}`" if part.startswith("`") else part.replace("<", "&lt;").replace("][", "]\\[")
        for part in parts
    )


def _code(text: str) -> str:
    """Code in a cell of a table; a bar in backticks would show the backslash that it needs there."""
    return f"<code>{escape(' '.join(text.split()), quote=False).replace('|', '&#124;')}</code>"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
