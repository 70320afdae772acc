"""From the tags of the Penn Treebank and of the C5 set to those of Universal Dependencies; the rest is none."""

from __future__ import annotations

_PENN = """
ADJ JJ JJR JJS AFX
ADP IN RP
ADV RB RBR RBS WRB
AUX MD
CCONJ CC
DET DT PDT WDT
INTJ UH
NOUN NN NNS
NUM CD
PART TO POS
PRON PRP PRP$ WP WP$ EX
PROPN NNP NNPS
VERB VB VBD VBG VBN VBP VBZ
"""
_C5 = """
ADJ AJ0 AJC AJS ORD
ADP PRP PRF AVP
ADV AV0 AVQ
AUX VBB VBD VBG VBI VBN VBZ VDB VDD VDG VDI VDN VDZ VHB VHD VHG VHI VHN VHZ VM0
CCONJ CJC
DET AT0 DT0 DTQ
INTJ ITJ
NOUN NN NN0 NN1 NN2 ZZ0
NUM CRD
PART TO0 XX0 POS
PRON PNP PNI PNQ PNX DPS EX0
PROPN NP0
SCONJ CJS CJT
VERB VVB VVD VVG VVI VVN VVZ
"""


def _table(text: str) -> dict[str, str]:
    rows = [line.split() for line in text.strip().splitlines()]
    return {theirs: row[0] for row in rows for theirs in row[1:]}


PENN = _table(_PENN)
"""Penn Treebank -> Universal Dependencies, as near as one tag can tell (IN is ADP, never SCONJ)."""
C5 = _table(_C5)
"""CLAWS 5 -> Universal Dependencies."""
