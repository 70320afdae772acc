"""Trains a tiny network again and again, killing it: run as a program by test_kills.py, prints one JSON object.

torch takes seconds to import, so this process imports everything once, never trains, and forks a child for each
life; a kill then costs milliseconds. The children are real processes, killed by real SIGKILLs.
"""

import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import lightning_fabric
import torch
from tiny_runs import At, experiment, sha256, words

import semagram.training.checkpoint as checkpoints
from semagram.training import SaveEvery, run, step, stepper, trainer

torch.set_num_threads(1)
assert lightning_fabric and trainer

TEXT = words()
STEPS = 40
Life = Callable[[], None]


def train(folder: Path, resume: bool, **more: object) -> None:
    trainer.train(experiment(STEPS), TEXT, folder, resume=resume, save=SaveEvery(steps=1), **more)


def forked(life: Life) -> int:
    """The child's process id; it leaves with 0, or 1 after an exception."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        life()
        code = 0
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
    finally:
        os._exit(code)


def ended(child: int) -> int:
    """Wait: the exit code, negative for a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def lived(life: Life) -> int:
    return ended(forked(life))


def random_kills(folder: Path, kills: int, quiet_seconds: float) -> dict[str, object]:
    """Kill at random instants, ``kills`` times in all, beginning again in a new folder when a run gets through."""
    draw = random.Random(0)
    killed, within_write, finals, begun = 0, 0, [], 0
    while killed < kills or not finals:
        run_folder = folder / str(begun)
        begun += 1
        while True:
            child = forked(lambda: train(run_folder, resume=True))  # noqa: B023
            if killed < kills:
                time.sleep(draw.uniform(0, 0.25 * quiet_seconds))
                os.kill(child, signal.SIGKILL)
            code = ended(child)
            if code == -signal.SIGKILL:
                killed += 1
                within_write += bool(list((run_folder / "checkpoints").glob("*.tmp")))
            elif code == 0:
                finals.append(sha256(run_folder / "model.safetensors"))
                break
            else:
                raise SystemExit(f"a life ended with {code}")
    left = sorted(p.name for p in (run_folder / "checkpoints").iterdir())
    return {"killed": killed, "within_write": within_write, "finals": finals, "left": left}


def killed_half_way_through_a_write(folder: Path) -> dict[str, object]:
    """Die with half of the new checkpoint in its temporary file, three times, also of ``best``."""
    codes = []
    genuine = checkpoints.save_file
    for fatal in (8, 12, 15):
        count = 0

        def dying(tensors, path, metadata, fatal=fatal):
            nonlocal count
            count += 1
            genuine(tensors, path, metadata)
            if count == fatal:
                os.truncate(path, os.path.getsize(path) // 2)
                os.kill(os.getpid(), signal.SIGKILL)

        def life(dying=dying):
            checkpoints.save_file = dying
            train(folder, resume=True)

        codes.append(lived(life))
    codes.append(lived(lambda: train(folder, resume=True)))
    return {"codes": codes, "final": sha256(folder / "model.safetensors")}


def planted(folder: Path, fault: str) -> str:
    """The final bits of a run that is interrupted once and resumed with something not restored."""

    def life():
        if fault == "dropout":
            step.seed_network = lambda seed: None
        if fault == "optimiser":
            stepper.Stepper.restore = lambda self, state: None
        if fault == "weights":
            run.checkpoints.load_weights = lambda network, weights: None
        train(folder, resume=True)

    lived(lambda: train(folder, False, watch=At(15, lambda: signal.raise_signal(signal.SIGINT))))
    assert lived(life) == 0
    return sha256(folder / "model.safetensors")


def signalled(folder: Path, number: int) -> dict[str, object]:
    """Ended by a signal from outside, after the first checkpoint; then resumed."""
    child = forked(lambda: train(folder, False))
    while not (folder / "checkpoints/last.safetensors").exists():
        time.sleep(0.002)
    os.kill(child, number)
    code = ended(child)
    how = json.loads((folder / "result.json").read_text())["ended"]
    lived(lambda: train(folder, resume=True))
    return {"code": code, "ended": how, "final": sha256(folder / "model.safetensors")}


def main(folder: Path) -> None:
    assert lived(lambda: train(folder / "warm", False)) == 0
    began = time.monotonic()
    assert lived(lambda: train(folder / "quiet", False)) == 0
    quiet_seconds = time.monotonic() - began
    found = {
        "quiet": sha256(folder / "quiet" / "model.safetensors"),
        "quiet_seconds": quiet_seconds,
        "random": random_kills(folder / "random", kills=20, quiet_seconds=quiet_seconds),
        "half_written": killed_half_way_through_a_write(folder / "half"),
        "faults": {fault: planted(folder / fault, fault) for fault in ("none", "dropout", "optimiser", "weights")},
        "SIGINT": signalled(folder / "int", signal.SIGINT),
        "SIGTERM": signalled(folder / "term", signal.SIGTERM),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
