"""When: the learning rate of a step, the steps that are followed by an evaluation, and how many steps a budget buys.

The rate rises linearly from 0 and falls linearly to 0 at the end of the budget (decay to zero: arXiv 2502.15938).
"""

from __future__ import annotations

from semagram.training.budget import Budget

TIMED_SHARE = 0.04
"""Share of a budget in seconds that is spent on finding out how long a step takes."""
TIMED_STEPS = 5
"""The fewest steps that are timed."""
OVERRUN = 1.1
"""A run on a budget in seconds stops, wherever its schedule stands, when the clock shows this many budgets."""


def rate_factor(step: int, total: float, warmup: float, decay: float) -> float:
    """What the peak rate is multiplied by at ``step`` (from 0) of ``total``: above 0 at every step, at most 1."""
    rising = (step + 1) / (warmup * total) if warmup > 0 else 1.0
    falling = (total - step) / (decay * total) if decay > 0 else 1.0
    return max(0.0, min(1.0, rising, falling))


def evaluation_steps(total: int | None, share: float) -> frozenset[int]:
    """The numbers of finished steps after which the held-out text is scored; the last is always among them.
    None, while ``total`` is not known."""
    if total is None:
        return frozenset()
    count = int(1 / share + 1e-9)
    return frozenset(max(1, round(k * share * total)) for k in range(1, count + 1)) | {total}


class Pace:
    """Turns a budget into a number of steps; for seconds, by timing the first ones.

    ``total`` is None until it is known. Only the wall time of training steps counts, not that of evaluations and
    checkpoints, so that two runs of one budget train equally long however often they are scored.
    """

    def __init__(self, budget: Budget, tokens_a_step: int, total: int | None) -> None:
        self._budget = budget
        self.total = total
        self._timed: list[float] = []
        if total is None and budget.unit == "steps":
            self.total = max(1, round(budget.amount))
        elif total is None and budget.unit == "tokens":
            self.total = max(1, round(budget.amount / tokens_a_step))

    def guess(self, step: int, seconds: float) -> float:
        """The best guess of the total from ``seconds`` spent on the steps up to and with ``step``."""
        return max(step + 1.0, self._budget.amount * (step + 1) / max(seconds, 1e-9))

    def timed(self, step: int, seconds: float, duration: float) -> int | None:
        """The total, when enough is known: ``step`` steps are done in ``seconds``, the last in ``duration``."""
        self._timed.append(duration)
        if len(self._timed) < TIMED_STEPS or seconds < TIMED_SHARE * self._budget.amount:
            return None
        # The first step pays for kernels being set up, and says nothing about the others.
        each = sum(self._timed[1:]) / len(self._timed[1:])
        return step + max(0, int((self._budget.amount - seconds) / each))

    def overrun(self, seconds: float) -> bool:
        """True when a budget in seconds is exceeded by a tenth, whatever the schedule says."""
        return self._budget.unit in ("seconds", "cpu_seconds") and seconds > OVERRUN * self._budget.amount
