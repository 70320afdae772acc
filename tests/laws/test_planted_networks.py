"""Planted faults of networks, objectives and optimisers: the laws name each one; the sound code breaks none."""

from __future__ import annotations

from pathlib import Path

import pytest

from laws import keeping, learning
from laws.cases import Case
from laws.planted import attentions, blocks, hierarchies, networks, polynomials, training
from laws.planted.judged import OPTION, laws_broken
from laws.planted.networks import Planted, planted

WINGS = (networks, attentions, blocks, hierarchies, polynomials, training)
FAULTS: list[Planted] = [fault for wing in WINGS for fault in wing.FAULTS]
SOUND: list[Case] = [case for wing in WINGS for case in getattr(wing, "CLEAN", ())]


@pytest.mark.parametrize("subject", SOUND, ids=[str(i) for i in range(len(SOUND))])
@pytest.mark.filterwarnings("ignore")
def test_sound_code_breaks_no_law(subject: Case, tmp_path: Path, count) -> None:
    first = any(subject in getattr(wing, "CLEAN", ())[:1] for wing in WINGS)
    # Training on random text and compiling take seconds, so they are asked of one network of each wing, and of one.
    dear = {learning.LEARNS, OPTION} | ({learning.RANDOM} if first else set())
    dear |= {keeping.COMPILED} if subject is networks.CLEAN[0] else set()
    assert laws_broken(subject, tmp_path, dear) == set()
    count("sound combinations that raise no alarm")


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
@pytest.mark.filterwarnings("ignore")
def test_a_planted_fault_breaks_the_law_it_should(fault: Planted, tmp_path: Path, count) -> None:
    with planted(fault):
        broken = laws_broken(fault.case, tmp_path, {fault.law})
    assert fault.law in broken, f"expected {fault.law!r}, broken were {sorted(broken)}"
    count("planted faults of networks and training, caught by a law")
