"""Build the documentation site: python -m docs [--serve].

The pages are docs/*.md as they stand in the repository, so they read well there too. Here they are laid beside what
they link to outside of docs/ (results, examples, CONTRIBUTING.md, ...), links are turned to the copies, the reference
is written from the source, and Zensical makes the site of it: build/pages -> build/site. Any warning is an error.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from docs import reference

ROOT = Path(__file__).parents[1]
BUILD = ROOT / "build"
LINK = re.compile(r"(\]\()([^)\s#]+)((?:#[^)]*)?\))")
FENCED = re.compile(r"(^```.*?^```)", re.DOTALL | re.MULTILINE)
BESIDE = ("CONTRIBUTING.md", "CHANGELOG.md", "LICENSE", "CITATION.cff")


def stage(build: Path = BUILD) -> Path:
    """Everything that Zensical reads: ``build/pages`` anew, and the configuration, whose path is returned."""
    pages = build / "pages"
    shutil.rmtree(pages, ignore_errors=True)
    for path in sorted((ROOT / "docs").rglob("*")):
        if path.suffix in (".md", ".svg", ".png", ".css"):
            _put(path, pages)
    for path in [*(ROOT / "results").rglob("*.md"), *(ROOT / name for name in BESIDE)]:
        _put(path, pages)
    for path in sorted((ROOT / "examples").glob("*.py")):
        _put(path, pages)
    reference.write(pages / "api")
    config = build / "zensical.toml"
    config.write_text(_navigation((ROOT / "docs" / "zensical.toml").read_text(encoding="utf-8")), encoding="utf-8")
    return config


def _navigation(config: str) -> str:
    """``config`` with every page of docs/ in its navigation."""
    pages = sorted((ROOT / "docs").rglob("*.md"))
    rest = [str(p.relative_to(ROOT / "docs")) for p in pages if f'"{p.relative_to(ROOT / "docs")}"' not in config]
    lines = [f'{{ "{_title(ROOT / "docs" / page)}" = "{page}" }},' for page in rest]
    return config.replace("# all other pages", "\n    ".join(lines))


def _title(path: Path) -> str:
    first = path.read_text(encoding="utf-8").lstrip().split("\n", 1)[0]
    return first.removeprefix("# ").replace('"', "'")


def staged(path: Path) -> Path:
    """Where a file of the repository stands among the pages; code and other text become pages."""
    inside = path.relative_to(ROOT)
    place = inside.relative_to("docs") if inside.parts[0] == "docs" else inside
    if place.name == "README.md":
        return place.with_name("index.md")
    if place.suffix in (".py", ".cff") or place.name == "LICENSE":
        return place.with_suffix(".md")
    return place


def turned(text: str, path: Path) -> str:
    """The page's links, turned to where their targets stand among the pages. ``FileNotFoundError`` for a dead one."""

    def turn(match: re.Match[str]) -> str:
        opening, target, rest = match.groups()
        if "://" in target or target.startswith("mailto:"):
            return match.group()
        there = (path.parent / target).resolve()
        if not there.exists():
            raise FileNotFoundError(f"{path.relative_to(ROOT)} links to {target}, which is not there")
        there = there / "README.md" if there.is_dir() else there
        if ROOT / "src" in there.parents:
            found = Path("api") / f"{'.'.join(there.relative_to(reference.SOURCE).with_suffix('').parts)}.md"
        else:
            found = staged(there)
        return f"{opening}{os.path.relpath(found, staged(path).parent)}{rest}"

    # What stands in fences is code: x[0](y) is no link.
    return "".join(part if part.startswith("```") else LINK.sub(turn, part) for part in FENCED.split(text))


def _put(path: Path, pages: Path) -> None:
    there = pages / staged(path)
    there.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".md":
        there.write_text(turned(path.read_text(encoding="utf-8"), path), encoding="utf-8")
    elif there.suffix == ".md":
        language = {".py": "python", ".cff": "yaml"}.get(path.suffix, "text")
        source = path.read_text(encoding="utf-8")
        there.write_text(f"# {path.name}\n\n```{language}\n{source}```\n", encoding="utf-8")
    else:
        shutil.copyfile(path, there)


def main() -> int:
    """Stage, then build (or serve)."""
    parser = argparse.ArgumentParser(prog="python -m docs", description=__doc__.splitlines()[0])
    parser.add_argument("--serve", action="store_true", help="show it on this machine and follow changes")
    options = parser.parse_args()
    config = stage()
    command = ["serve"] if options.serve else ["build", "--clean", "--strict"]
    return subprocess.run([sys.executable, "-m", "zensical", *command, "-f", str(config)]).returncode


if __name__ == "__main__":
    sys.exit(main())
