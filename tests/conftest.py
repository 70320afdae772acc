"""For all tests: one thread (two runs give equal bits), and an account of how much the laws walked."""

from __future__ import annotations

from collections import Counter

import pytest
import torch

torch.set_num_threads(1)
if not torch.cuda.is_available():
    # Without a GPU torch.manual_seed formats three stack traces for devices that are not there: a fifth of the suite.
    torch.manual_seed = torch.default_generator.manual_seed

WALKED: Counter[str] = Counter()
"""What was walked, by name: ``count`` adds to it, the end of the run prints it."""


@pytest.fixture
def count(record_property):
    """``count("combinations of parts under 'no peeking'", 1)``: an entry of the account at the end of the run."""

    def add(what: str, number: int = 1) -> None:
        record_property(f"walked: {what}", number)

    return add


def pytest_runtest_logreport(report) -> None:
    """Add up what the tests counted; with several processes, in the one that tells the results."""
    if report.when == "call":
        for name, number in report.user_properties:
            if name.startswith("walked: "):
                WALKED[name.removeprefix("walked: ")] += number


def pytest_terminal_summary(terminalreporter) -> None:
    """Print the account."""
    if WALKED:
        terminalreporter.section("the laws walked")
        for what, number in WALKED.items():
            terminalreporter.write_line(f"{number:6,}  {what}")
