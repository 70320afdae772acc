"""Where texts lie on this machine: the user's data folder, and the cache for what was fetched.

Both hold a text under its name: `tinyshakespeare` or `tinyshakespeare.txt`; Gutenberg books are
`gutenberg/84.txt` or `pg84.txt`, as the site names them. Dropping a file there by hand is as good as fetching
it.
"""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from semagram.errors import UserError


@dataclass(frozen=True)
class Places:
    """The folders to look in: `data`, the user's own (or none), then `cache`, ours."""

    data: Path | None
    cache: Path

    @classmethod
    def find(cls, data_folder: str | Path | None = None, cache_folder: str | Path | None = None) -> "Places":
        """Return the folders: as given, else by $SEMAGRAM_DATA and $SEMAGRAM_CACHE, else the usual ones.

        UserError if a data folder is named that does not exist.
        """
        data = data_folder or os.environ.get("SEMAGRAM_DATA") or None
        data_path = Path(data).expanduser() if data is not None else None
        if data_path is not None and not data_path.is_dir():
            origin = "data_folder" if data_folder else "SEMAGRAM_DATA"
            raise UserError(f"the folder {data_path} (given by {origin}) does not exist.")
        cache = cache_folder or os.environ.get("SEMAGRAM_CACHE") or _user_cache()
        return cls(data_path, Path(cache).expanduser())

    def in_data(self, *names: str) -> Path | None:
        """Return the first of the file `names` that the data folder has, or None."""
        return _first(self.data, names) if self.data is not None else None

    def in_cache(self, *names: str) -> Path | None:
        """Return the first of the file `names` that the cache has, or None."""
        return _first(self.cache, names)


def _first(folder: Path, names: tuple[str, ...]) -> Path | None:
    return next((folder / name for name in names if os.path.isfile(folder / name)), None)


def _user_cache() -> Path:
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "semagram" / "cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "semagram"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "semagram"
