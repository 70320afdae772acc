"""Common English affixes, the list that ``Morphemes`` looks for: written for this project, in alphabetical order.

Spelling variants stand by themselves (in-, im-, il-, ir-), since a letter belongs to the segment that spells it.
"""

_PREFIXES = """
anti auto be bi circum co con contra counter de dis down em en ex extra fore hyper il im in inter ir mal mega micro mid
mini mis mono multi neo non off out over para poly post pre pro proto pseudo re self semi step sub super sur tele trans
tri ultra un under uni up vice with
"""
_SUFFIXES = """
able age al an ance ant ar ary ate ation ble cy dom ed ee en ence ent eer er ern ers es ese esque ess est eth ette ful
fully hood ian ible ic ical ically ied ier ies iest ify ily ing ings ion ious ise ish ism ist ists ite ity ive ize less
lessness let like ling ly man ment ments most n't ness nesses or ory ous 's s ship sion some ster th tion tions tude ty
ure ward wards ways wise y
"""

PREFIXES = tuple(_PREFIXES.split())
"""Looked for at the beginning of a word."""
SUFFIXES = tuple(_SUFFIXES.split())
"""Looked for at the end of a word."""
