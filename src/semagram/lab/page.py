"""Pages that are complete in themselves: one HTML file, its style inside, no script, nothing fetched.

Whatever a text holds is shown as text: everything is escaped except the SVG that ``figures`` makes, and a content
security policy forbids scripts and the network besides.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import semagram
from semagram.training.files import replace_whole


def write_page(path: Path, template: str, values: Mapping[str, Any]) -> Path:
    """Fill ``template`` (a file beside this one) with ``values`` and write it to ``path``, whole or not at all."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined
    )
    about = {"version": semagram.__version__, "made": time.strftime("%Y-%m-%d %H:%M")}
    html = environment.get_template(template).render({**about, **values})
    # A half of a surrogate pair, which a text from elsewhere can hold, has no UTF-8 form.
    data = html.encode("utf-8", "replace")

    def write(temporary: Path) -> None:
        temporary.write_bytes(data)

    replace_whole(path, write)
    return path
