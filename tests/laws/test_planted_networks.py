"""Planted faults of networks, objectives and optimisers: the laws name each one; the sound code breaks none."""

from __future__ import annotations

from pathlib import Path

import pytest

from laws import keeping, learning
from laws.cases import Case
from laws.planted import attentions, blocks, networks, training
from laws.planted.judged import OPTION, laws_broken
from laws.planted.networks import CLEAN, Planted, planted

FAULTS = [
    *networks.FAULTS,
    *blocks.FAULTS,
    *training.FAULTS,
    *attentions.FAULTS,
]
SOUND = [
    *CLEAN,
    *blocks.CLEAN,
    *attentions.CLEAN,
]


@pytest.mark.parametrize("subject", SOUND, ids=[str(i) for i in range(len(SOUND))])
@pytest.mark.filterwarnings("ignore")
def test_sound_code_breaks_no_law(subject: Case, tmp_path: Path, count) -> None:
    dear = {learning.LEARNS, learning.RANDOM, OPTION} | ({keeping.COMPILED} if subject is CLEAN[0] else set())
    assert laws_broken(subject, tmp_path, dear) == set()
    count("sound combinations that raise no alarm")


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
@pytest.mark.filterwarnings("ignore")
def test_a_planted_fault_breaks_the_law_it_should(fault: Planted, tmp_path: Path, count) -> None:
    with planted(fault):
        broken = laws_broken(fault.case, tmp_path, {fault.law})
    assert fault.law in broken, f"expected {fault.law!r}, broken were {sorted(broken)}"
    count("planted faults of networks and training, caught by a law")
