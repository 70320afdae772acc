"""Text as it is being written: tokens go in, whole characters come out.

A character may be spread over several tokens, and half of it cannot be shown. The decoder keeps the
unfinished bytes back until the rest arrives. All that it returns, joined, equals `tokenizer.decode` of all
ids pushed.
"""

import codecs
from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from semagram.text.tokenizer import Tokenizer


class StreamingDecoder:
    """Decode ids piece by piece; each `push` costs only its own ids."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        """Start an empty text in the tokens of `tokenizer`."""
        self._tokenizer = tokenizer
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def push(self, ids: Sequence[int] | NDArray[Any]) -> str:
        """Return the characters that `ids`, n more tokens, complete.

        UserError for ids that `decode` refuses.
        """
        return self._decoder.decode(self._tokenizer.bytes_of(ids))

    def finish(self) -> str:
        """Return what is left: '', or U+FFFD for a character that was never completed.

        Then a new text may begin.
        """
        return self._decoder.decode(b"", final=True)
