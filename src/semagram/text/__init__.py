"""Text <-> ids: where text comes from, and the tokens it is written in.

Knows nothing of networks, needs no torch.
"""

from semagram.text.bpe import BPE, BPETokenizer
from semagram.text.byte_tokens import Bytes, ByteTokenizer
from semagram.text.catalogue import DEFAULT_CORPUS
from semagram.text.characters import Characters, CharacterTokenizer
from semagram.text.corpora import Text, load_text
from semagram.text.fetch import Fetching, fetch
from semagram.text.named import CorpusInfo, corpora
from semagram.text.splits import Split, split
from semagram.text.streaming import StreamingDecoder
from semagram.text.tokenizer import Ids, Tokenizer
from semagram.text.tokenizers import TokenizerConfig, tokenizer_from_json

__all__ = [
    "BPE",
    "DEFAULT_CORPUS",
    "BPETokenizer",
    "ByteTokenizer",
    "Bytes",
    "CharacterTokenizer",
    "Characters",
    "CorpusInfo",
    "Fetching",
    "Ids",
    "Split",
    "StreamingDecoder",
    "Text",
    "Tokenizer",
    "TokenizerConfig",
    "corpora",
    "fetch",
    "load_text",
    "split",
    "tokenizer_from_json",
]
