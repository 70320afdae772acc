"""Finding recipes: the built-in ones by name, a user's own by its file. Both are modules with ``EXPERIMENT``."""

from __future__ import annotations

import importlib.util
import pkgutil
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from semagram.errors import UserError, nearest
from semagram.experiment import Experiment


@dataclass(frozen=True)
class Recipe:
    """A named experiment, where it is written and its one-line description."""

    name: str
    path: Path
    line: str
    experiment: Experiment


def names() -> list[str]:
    """The built-in recipes."""
    import semagram.recipes

    return sorted(m.name for m in pkgutil.iter_modules(semagram.recipes.__path__) if not m.name.startswith("_"))


def find(name: str) -> Recipe:
    """A built-in recipe by name, or a file ``*.py`` by path; raises ``UserError`` when there is none."""
    if name.endswith(".py") or "/" in name:
        path = Path(name)
        if not path.is_file():
            raise UserError(f"there is no recipe file {name}.")
        return _recipe(path.stem, _module(path))
    if name not in names():
        raise UserError(
            f"there is no recipe {name!r}; there are {', '.join(names())}, and any FILE.py with a value EXPERIMENT."
            f"{nearest(name, names())}"
        )
    return _recipe(name, importlib.import_module(f"semagram.recipes.{name}"))


def _module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise UserError(f"{path} is not a Python file.")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"the recipe {path} does not run: {type(error).__name__}: {error}.") from error
    return module


def _recipe(name: str, module: ModuleType) -> Recipe:
    experiment = getattr(module, "EXPERIMENT", None)
    if not isinstance(experiment, Experiment):
        given = type(experiment).__name__ if experiment is not None else "none"
        raise UserError(f"the recipe {name} must define EXPERIMENT = Experiment(...); it has {given}.")
    line = (module.__doc__ or "").strip().splitlines()
    return Recipe(name, Path(module.__file__ or ""), line[0] if line else "", experiment)
