"""The work of a sweep: take a trial, train it, write down what it came to, again; in this process or in several.

Processes that are started for a sweep (``python -m semagram.lab.sweep_work FOLDER TRIALS``) share nothing but the
folder. One that dies is replaced, and its trial gone on with by whoever comes first.
"""

from __future__ import annotations

import math
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from semagram.errors import UserError
from semagram.experiment import Experiment
from semagram.lab.sweep_space import Axis, applied
from semagram.lab.sweep_study import JOURNAL, MOST_DEATHS, Book, Trial
from semagram.training.files import CannotWrite

Objective = Callable[[Experiment, Path], float]
"""From a trial's experiment and its folder to bits per character; lower is better. Called again after a kill."""

POLL = 0.2
"""Seconds between looks at the processes."""


def work(
    book: Book,
    experiment: Experiment,
    axes: Sequence[Axis],
    objective: Objective,
    trials: int,
    say: Callable[[str], None],
) -> None:
    """Work until there are ``trials`` trials and none is left over. A trial's error is its result; a full disk and an
    interruption are not, and are raised."""
    while (turn := book.take(trials)) is not None:
        try:
            bits, failed = None, None
            try:
                bits = objective(applied(experiment, axes, turn.ask), book.folder / "trials" / f"{turn.number:04d}")
            except (KeyboardInterrupt, CannotWrite, OSError):
                turn.put_back()
                raise
            except Exception as error:
                # A trial that breaks must not take the others' hours with it; it is shown as failed.
                said = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
                failed = " ".join(said.split())[:500]
            turn.tell(bits, failed)
            say(line(turn.number, trials, bits, failed))
        finally:
            turn.let_go()


def line(number: int, trials: int, bits: float | None, failed: str | None) -> str:
    """What a person is told of a trial."""
    told = f"{bits:.4f} bits/char" if bits is not None and math.isfinite(bits) else f"failed: {failed or bits}"
    return f"[{number + 1}/{trials}] {told}"


def trained_bits(dev: float) -> Objective:
    """The usual objective: train on the text less its last ``dev``, and the score of those, in bits per character."""

    def objective(experiment: Experiment, folder: Path) -> float:
        from semagram.lab.runs import bits_of_training

        settled = replace(experiment, training=replace(experiment.training, held_out=dev))
        bits = bits_of_training(settled, folder)
        # The figure is kept with the run; a hundred checkpoints would fill a disk.
        shutil.rmtree(folder / "checkpoints", ignore_errors=True)
        return bits

    return objective


def work_together(folder: Path, book: Book, workers: int, trials: int, say: Callable[[str], None]) -> None:
    """Have ``workers`` processes do the work; ``UserError`` with the last words of one that can do nothing."""
    told = {t.number for t in book.trials() if t.finished}
    running = {number: _start(folder, trials, number, workers) for number in range(workers)}
    size, fruitless = _size(folder), 0
    try:
        while running:
            time.sleep(POLL)
            _tell_new(book.trials(), told, trials, say)
            for number, process in list(running.items()):
                if (code := process.poll()) is None:
                    continue
                del running[number]
                if code == 0:
                    continue
                log = (folder / f"worker-{number}.log").read_text(encoding="utf-8", errors="replace").strip()
                last = log.splitlines()[-1] if log else f"exit status {code}"
                if code == 130:
                    raise KeyboardInterrupt
                size, fruitless = _size(folder), 1 if _size(folder) > size else fruitless + 1
                if code == 2 or fruitless == MOST_DEATHS:
                    raise UserError(f"a process of the sweep ended: {last}")
                say(f"a process ended ({last}); another takes its place.")
                running[number] = _start(folder, trials, number, workers)
        _tell_new(book.trials(), told, trials, say)
    finally:
        for process in running.values():
            process.terminate()
        for process in running.values():
            process.wait()


def _start(folder: Path, trials: int, number: int, workers: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "semagram.lab.sweep_work", str(folder), str(trials), str(workers)]
    with open(folder / f"worker-{number}.log", "wb") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)


def _tell_new(trials: list[Trial], told: set[int], most: int, say: Callable[[str], None]) -> None:
    for trial in trials:
        if trial.finished and trial.number not in told:
            told.add(trial.number)
            say(line(trial.number, most, trial.bits, trial.failed))


def _size(folder: Path) -> int:
    return (folder / JOURNAL).stat().st_size


def main(arguments: list[str]) -> int:
    """A process that joins in: FOLDER, number of trials, number of processes that share the machine."""
    import torch

    from semagram.lab.sweep import question_of

    folder, trials, workers = Path(arguments[0]), int(arguments[1]), int(arguments[2])
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // workers))
    try:
        experiment, axes, told = question_of(folder)
        book = Book(folder, axes, told["sampler"], told["seed"])
        work(book, experiment, axes, trained_bits(told["dev"]), trials, lambda said: print(said, flush=True))
    except UserError as error:
        print(error, flush=True)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
