"""``semagram recipes [NAME]``: list the recipes, or print one as a beginning for your own."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated

import tyro

from semagram.commands.options import parse


@dataclass(frozen=True)
class Recipes:
    """List the recipes, or print one."""

    name: Annotated[str | None, tyro.conf.Positional] = None
    """Print this recipe's source."""
    json: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """As JSON."""


def run(arguments: list[str]) -> int:
    """The command."""
    options = parse(Recipes, arguments, "semagram recipes")
    from semagram.lab import recipes

    if options.name is not None:
        found = recipes.find(options.name)
        if options.json:
            from semagram.config import dumps

            print(dumps(found.experiment), end="")
        else:
            print(found.path.read_text(encoding="utf-8"), end="")
        return 0
    every = [recipes.find(name) for name in recipes.names()]
    if options.json:
        print(json.dumps([{"name": r.name, "line": r.line, "path": str(r.path)} for r in every]))
        return 0
    width = max(len(r.name) for r in every)
    for recipe in every:
        print(f"{recipe.name:<{width}}  {recipe.line}")
    print("\nsemagram recipes NAME > my_idea.py    then: semagram train book.txt --recipe my_idea.py")
    return 0
