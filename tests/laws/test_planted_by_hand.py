"""Planted faults of models by hand: the laws name each one; the sound code breaks none."""

from __future__ import annotations

from pathlib import Path

import pytest

from laws.broken import Broken
from laws.by_hand import SOURCE_PADDING, built, source_padding
from laws.cases import Case
from laws.planted.by_hand import CLEAN, FAULTS, SOURCE_FAULTS
from laws.planted.judged import laws_broken
from laws.planted.networks import Planted, planted


@pytest.mark.parametrize("subject", CLEAN, ids=range(len(CLEAN)))
def test_sound_code_breaks_no_law(subject: Case, tmp_path: Path, count) -> None:
    assert laws_broken(subject, tmp_path, set()) == set()
    count("sound combinations that raise no alarm")


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_planted_fault_breaks_the_law_it_should(fault: Planted, tmp_path: Path, count) -> None:
    with planted(fault):
        broken = laws_broken(fault.case, tmp_path, {fault.law})
    assert fault.law in broken, f"expected {fault.law!r}, broken were {sorted(broken)}"
    count("planted faults of networks and training, caught by a law")


@pytest.mark.parametrize(("name", "plant", "config"), SOURCE_FAULTS, ids=[f[0] for f in SOURCE_FAULTS])
def test_a_planted_fault_of_source_padding_is_caught(name: str, plant, config, count) -> None:
    network = built(config)
    source_padding(config, network)
    with pytest.MonkeyPatch.context() as patch:
        plant(patch)
        with pytest.raises(Broken) as told:
            source_padding(config, network)
    assert told.value.law == SOURCE_PADDING
    count("planted faults of networks and training, caught by a law")
