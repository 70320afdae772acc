"""The book of a sweep: which trials there are, who works at them, what they came to. One journal file, many processes.

Optuna keeps the journal and proposes settings. What is added: a trial is held by a lock of the operating system for as
long as its process lives, so that a dead one's trial is known at once (no heartbeat, no waiting), taken over by another
and gone on with; a trial that has ended ``MOST_DEATHS`` processes is written down as failed. Settings are drawn by a
sampler that is seeded with the trial's number: neither a kill nor the number of processes makes two trials alike.
"""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

from semagram.errors import UserError
from semagram.lab.sweep_space import Axis, Choice, Plain, Range

Sampler = Literal["random", "tpe", "evolution"]
JOURNAL, FAILED, DEATHS = "journal.log", "failed", "deaths"
MOST_DEATHS = 3
"""Processes that may end while they work at one trial, before it is called the culprit."""


@dataclass(frozen=True)
class Trial:
    """One cell of a sweep. ``bits`` None: it failed, for the reason given, or is not finished."""

    number: int
    values: dict[str, Plain]
    bits: float | None
    failed: str | None
    finished: bool


class Turn:
    """A trial in hand: ``ask`` for its settings, ``tell`` what it came to; held until ``let_go``."""

    def __init__(self, study: Any, trial: Any, lock: IO[str]) -> None:
        self._study, self._trial, self._lock = study, trial, lock
        self.number: int = trial.number

    def ask(self, axis: Axis) -> Plain:
        """The trial's value on this axis; the same whenever it is asked."""
        if isinstance(axis, Choice):
            return self._trial.suggest_categorical(axis.path, axis.values)
        if axis.whole:
            return self._trial.suggest_int(axis.path, int(axis.low), int(axis.high), log=axis.logarithmic)
        return self._trial.suggest_float(axis.path, axis.low, axis.high, log=axis.logarithmic)

    def tell(self, bits: float | None, failed: str | None = None) -> None:
        """It is done: a finite figure, or why there is none."""
        from optuna.trial import TrialState

        if bits is None or not math.isfinite(bits):
            self._trial.set_user_attr(FAILED, failed or f"its score is {bits}.")
            self._study.tell(self._trial, state=TrialState.FAIL)
        else:
            self._study.tell(self._trial, bits)

    def died(self) -> int:
        """Count one more process that ended with it; how many there were."""
        deaths = int(self._trial.user_attrs.get(DEATHS, 0)) + 1
        self._trial.set_user_attr(DEATHS, deaths)
        return deaths

    def put_back(self) -> None:
        """It was interrupted through no fault of its own, which is not to be counted."""
        self._trial.set_user_attr(DEATHS, int(self._trial.user_attrs.get(DEATHS, 0)) - 1)

    def let_go(self) -> None:
        """Others may see whether it is finished."""
        self._lock.close()


class Book:
    """The trials of a sweep in ``folder``; ``UserError`` without Optuna."""

    def __init__(self, folder: Path, axes: tuple[Axis, ...], sampler: Sampler, seed: int) -> None:
        optuna = package()
        self.folder, self._axes, self._sampler, self._seed = folder, axes, sampler, seed
        folder.mkdir(parents=True, exist_ok=True)
        lock: Any = _JournalLock(folder / ".journal.lock")
        journal = folder / JOURNAL
        if journal.exists():
            _cut_torn_line(journal, lock)
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend

        storage = JournalStorage(JournalFileBackend(str(journal), lock))
        with locked(folder / ".turns.lock"):
            self._study = optuna.create_study(
                storage=storage, study_name="sweep", direction="minimize", load_if_exists=True
            )

    def take(self, most: int) -> Turn | None:
        """The next trial: one whose process is gone, else a new one, as long as there are fewer than ``most``."""
        from optuna.trial import Trial as Theirs
        from optuna.trial import TrialState

        with locked(self.folder / ".turns.lock"):
            every = self._study.get_trials(deepcopy=False)
            for frozen in every:
                if frozen.state is TrialState.RUNNING and (lock := self._hold(frozen.number)) is not None:
                    turn = Turn(self._study, Theirs(self._study, frozen._trial_id), lock)
                    if turn.died() < MOST_DEATHS:
                        return turn
                    turn.tell(None, f"{MOST_DEATHS} processes ended while they worked at it.")
                    turn.let_go()
            if len(every) >= most:
                return None
            self._study.sampler = self._sampler_for(len(every))
            with warnings.catch_warnings():
                # Optuna calls some of its samplers' settings experimental; the versions that we allow have them.
                warnings.simplefilter("ignore")
                trial = self._study.ask()
            lock = self._hold(trial.number)
            assert lock is not None, "a new trial's lock is nobody's"
            return Turn(self._study, trial, lock)

    def trials(self) -> list[Trial]:
        """All there are, in the order of their numbers."""
        return [
            Trial(
                t.number,
                dict(t.params),
                t.value if t.state.name == "COMPLETE" else None,
                t.user_attrs.get(FAILED, "no reason was written down.") if t.state.name == "FAIL" else None,
                t.state.is_finished(),
            )
            for t in self._study.get_trials(deepcopy=False)
        ]

    def _hold(self, number: int) -> IO[str] | None:
        """The trial's lock, or None while another process has it."""
        import fcntl

        path = self.folder / "trials" / f".{number}.lock"
        path.parent.mkdir(exist_ok=True)
        file = open(path, "w")  # noqa: SIM115 - held as long as the trial
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return None
        return file

    def _sampler_for(self, number: int) -> Any:
        from optuna import samplers

        seed = (self._seed * 1_000_003 + number) % 2**32
        ranges = all(isinstance(axis, Range) for axis in self._axes)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if self._sampler == "random":
                return samplers.RandomSampler(seed=seed)
            if self._sampler == "tpe":
                return samplers.TPESampler(seed=seed, constant_liar=True)
            if ranges and len(self._axes) > 1:
                return samplers.CmaEsSampler(seed=seed, n_startup_trials=1, warn_independent_sampling=False)
            return samplers.NSGAIISampler(seed=seed, population_size=8)


def package() -> Any:
    """The module optuna, told to be quiet; ``UserError`` saying how to get it."""
    try:
        import fcntl  # noqa: F401

        import cmaes  # noqa: F401  # pyright: ignore[reportMissingImports, reportUnusedImport]
        import optuna  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        if error.name == "fcntl":
            raise UserError("sweeps need file locks of a POSIX system, which this one lacks.") from None
        raise UserError("a sweep needs the packages optuna and cmaes: pip install 'semagram[sweep]'.") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """One process at a time; let go by the system when the process ends, however it does."""
    import fcntl

    with open(path, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


class _JournalLock:
    """What Optuna asks of a lock, with one that a killed process cannot leave behind."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[str] | None = None

    def acquire(self) -> bool:
        """Wait for it."""
        import fcntl

        self._file = open(self._path, "w")  # noqa: SIM115 - closed by release
        fcntl.flock(self._file, fcntl.LOCK_EX)
        return True

    def release(self) -> None:
        """Let the next in."""
        if self._file is not None:
            self._file.close()
            self._file = None


def _cut_torn_line(journal: Path, lock: _JournalLock) -> None:
    """A process that was killed while it wrote leaves half a line, which nobody could read past."""
    lock.acquire()
    try:
        data = journal.read_bytes()
        if data and not data.endswith(b"\n"):
            os.truncate(journal, data.rfind(b"\n") + 1)
    finally:
        lock.release()
