"""Words of the closed classes of English with the tag that each mostly has: written by hand for this project.

The tags follow the English treebanks of Universal Dependencies (forms of be are AUX, possessives PRON, "to" PART);
where a word has several, the more frequent one. Some words are of Shakespeare's time.
"""

from __future__ import annotations

_WORDS = """
ADP of in for on with at by from about into over after through between out against during without under around among
upon per via toward towards within across behind beyond beneath beside besides despite except inside outside near off
up down above below amid amongst onto throughout unto till than like along past versus notwithstanding
ADV very so too also now then here when where how why again never ever always often just still already even
only once soon almost perhaps maybe quite rather enough else away back together yet ago instead however therefore thus
hence indeed thence hither thither whither wherefore well far today tomorrow tonight yesterday anon nay yea
AUX is are was were be been being am will would can could shall should may might must do does did has have had hath
doth hast dost wilt shalt canst art wert wast couldst wouldst shouldst mayst ought cannot didst hadst gonna
don't doesn't didn't won't wouldn't can't couldn't shouldn't isn't aren't wasn't weren't hasn't haven't hadn't mustn't
ain't shan't mightn't needn't tis twas twere
CCONJ and or but nor both either neither plus
DET the a an this these those every each some any no all another such half an' th
INTJ oh ah yes hello hi hey please alas o ho ha fie wow ok okay yeah lo prithee
NUM one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen
nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand million billion
PART to not
PRON i you he she it we they me him her us them my your his its our their mine yours hers ours theirs myself yourself
himself herself itself ourselves yourselves themselves who whom whose which what there something anything nothing
everything someone anyone everyone somebody anybody nobody everybody thou thee thy thine ye thyself whoever whatever
none i'm i'll i've i'd you're you'll you've you'd he's he'll he'd she's she'll she'd it's it'll we're we'll we've we'd
they're they'll they've they'd that's there's here's who's what's
SCONJ if that because although though while whilst unless until since whether lest ere whereas as
VERB let's let
"""


def _table() -> dict[str, str]:
    table: dict[str, str] = {}
    tag = ""
    for word in _WORDS.split():
        if word.isupper():
            tag = word
        else:
            table.setdefault(word, tag)
    return table


CLOSED = _table()
"""Word in lower case -> tag of Universal Dependencies."""
