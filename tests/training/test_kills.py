"""A run that was killed, however often and wherever, ends with the bits of one that was left in peace."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from training.tiny_runs import sha256

HERE = Path(__file__).parent
SURROUNDINGS = {**os.environ, "PYTHONPATH": str(HERE), "OMP_NUM_THREADS": "1"}
COLD = "import sys, kill_trials; kill_trials.train(kill_trials.Path(sys.argv[1]), resume=True)"


@pytest.fixture(scope="module")
def trials(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kills")
    done = subprocess.run(
        [sys.executable, HERE / "kill_trials.py", folder], capture_output=True, text=True, env=SURROUNDINGS, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_twenty_kills_at_random_instants_change_no_bit(trials):
    found = trials["random"]
    assert found["killed"] == 20
    assert set(found["finals"]) == {trials["quiet"]}
    assert found["left"] == ["best.safetensors", "last.safetensors"]


def test_kills_half_way_through_a_write_change_no_bit(trials):
    found = trials["half_written"]
    assert found["codes"] == [-signal.SIGKILL] * 3 + [0]
    assert found["final"] == trials["quiet"]


def test_the_trial_can_tell(trials):
    """With dropout's seed, the optimiser's state or the weights not restored, the bits differ."""
    faults = trials["faults"]
    assert faults["none"] == trials["quiet"]
    assert len(set(faults.values())) == 4


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_signals_end_a_run_in_good_order(trials, name):
    assert trials[name] == {"code": 0, "ended": "interrupted", "final": trials["quiet"]}


def test_a_cold_process_goes_on_to_the_same_bits(trials, tmp_path):
    """No fork: the first process is killed after its first checkpoints, a fresh interpreter goes on."""
    run = tmp_path / "run"
    first = subprocess.Popen([sys.executable, "-c", COLD, run], env=SURROUNDINGS)
    deadline = time.monotonic() + 60
    while not (run / "checkpoints/last.safetensors").exists() and time.monotonic() < deadline:
        time.sleep(0.005)
    first.kill()
    assert first.wait() == -signal.SIGKILL
    subprocess.run([sys.executable, "-c", COLD, run], env=SURROUNDINGS, check=True)
    assert sha256(run / "model.safetensors") == trials["quiet"]
