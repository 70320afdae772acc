"""Laws 1 to 4 on the network of every pair of parts."""

from __future__ import annotations

import pytest
import torch

from laws import company, distribution, no_peeking, stepping
from laws.cases import Case, all_cases


@pytest.mark.parametrize("case", all_cases(), ids=map(str, range(len(all_cases()))))
def test_a_combination_of_parts_keeps_the_laws(case: Case, count) -> None:
    """One combination; the message names it."""
    network = case.network()
    try:
        no_peeking.check(network, case)
        stepping.check(network, case)
        company.check(network, case)
        with torch.no_grad():
            logits = network(case.inputs(), case.geometry())
        distribution.check(torch.log_softmax(logits, dim=-1), case.vocabulary)
    except AssertionError as error:
        error.add_note(f"in {case}")
        raise
    count("combinations of parts under laws 1 to 4 (no peeking, stepping, distribution, company)")
