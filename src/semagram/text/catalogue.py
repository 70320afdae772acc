"""The corpora that have a name, and what is known of each.

The checksums of tinyshakespeare, enwik8 and text8 are those that many independent projects publish; the first
was also computed from a copy of ours. Gutenberg revises its books, so those have none, and neither have the
texts that ship with Python, which differ by version.
"""

from collections.abc import Callable
from dataclasses import dataclass

from semagram.text.python_texts import library_code, library_docstrings, python_topics
from semagram.text.splits import Split


@dataclass(frozen=True)
class FromPython:
    """A text that ships with Python; `build` makes it."""

    build: Callable[[], str]


@dataclass(frozen=True)
class Download:
    """One file at `address`, of `size` bytes and with `sha256`; for a ZIP, `member` is the text inside.

    `text_size` and `text_sha256` are those of the text, the same as the file's unless it is a ZIP.
    """

    address: str
    size: int
    sha256: str
    text_size: int
    text_sha256: str
    member: str | None = None


@dataclass(frozen=True)
class Books:
    """Books of Project Gutenberg, in this order."""

    numbers: tuple[int, ...]


Origin = FromPython | Download | Books


@dataclass(frozen=True)
class NamedCorpus:
    """A corpus known by name.

    `size` is in bytes of UTF-8, about right where the text has no fixed version.
    """

    name: str
    description: str
    origin: Origin
    size: int
    licence: str
    split: Split = Split()


DEFAULT_CORPUS = "pydocs"

_HUNDRED_MEGABYTES = 100_000_000
_WIKIPEDIA_SPLIT = Split(train=0.90, validation=0.05, test=0.05, in_bytes=True)
_SHAKESPEARE_SHA256 = "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"

CATALOGUE: tuple[NamedCorpus, ...] = (
    NamedCorpus(
        name=DEFAULT_CORPUS,
        description="Python language reference, the topics of help()",
        origin=FromPython(python_topics),
        size=466_195,
        licence="PSF",
    ),
    NamedCorpus(
        name="stdlib-docs",
        description="docstrings of the Python standard library: technical English",
        origin=FromPython(library_docstrings),
        size=1_800_000,
        licence="PSF",
    ),
    NamedCorpus(
        name="stdlib-code",
        description="source of the Python standard library: code",
        origin=FromPython(library_code),
        size=12_600_000,
        licence="PSF",
    ),
    NamedCorpus(
        name="tinyshakespeare",
        description="40,000 lines of Shakespeare's plays; the usual first corpus",
        origin=Download(
            address="https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
            size=1_115_394,
            sha256=_SHAKESPEARE_SHA256,
            text_size=1_115_394,
            text_sha256=_SHAKESPEARE_SHA256,
        ),
        size=1_115_394,
        licence="public domain",
    ),
    NamedCorpus(
        name="enwik8",
        description="first 100 MB of English Wikipedia (2006), with its XML; split 90/5/5 MB",
        origin=Download(
            address="http://mattmahoney.net/dc/enwik8.zip",
            size=36_445_475,
            sha256="547994d9980ebed1288380d652999f38a14fe291a6247c157c3d33d4932534bc",
            text_size=_HUNDRED_MEGABYTES,
            text_sha256="2b49720ec4d78c3c9fabaee6e4179a5e997302b3a70029f30f2d582218c024a8",
            member="enwik8",
        ),
        size=_HUNDRED_MEGABYTES,
        licence="GFDL / CC BY-SA",
        split=_WIKIPEDIA_SPLIT,
    ),
    NamedCorpus(
        name="text8",
        description="100 MB of Wikipedia in 27 characters (a-z and space); split 90/5/5 MB",
        origin=Download(
            address="http://mattmahoney.net/dc/text8.zip",
            size=31_344_016,
            sha256="a6640522afe85d1963ad56c05b0ede0a0c000dddc9671758a6cc09b7a38e5232",
            text_size=_HUNDRED_MEGABYTES,
            text_sha256="6e890197040d37d85beb962ae1f041ff1d9a9ca8d20c7d99c85027eebf51dca7",
            member="text8",
        ),
        size=_HUNDRED_MEGABYTES,
        licence="GFDL / CC BY-SA",
        split=_WIKIPEDIA_SPLIT,
    ),
    NamedCorpus(
        name="austen",
        description="Jane Austen, Pride and Prejudice and Northanger Abbey",
        origin=Books((1342, 121)),
        size=1_118_000,
        licence="public domain (Project Gutenberg)",
    ),
    NamedCorpus(
        name="alice",
        description="Lewis Carroll, Alice's Adventures in Wonderland",
        origin=Books((11,)),
        size=148_000,
        licence="public domain (Project Gutenberg)",
    ),
)


def find_named(name: str) -> NamedCorpus | None:
    """Return the corpus called `name`, or None."""
    return next((corpus for corpus in CATALOGUE if corpus.name == name), None)
