"""Two processes make the steps of one: replicated or in shards, and what they saved is what one process would save."""

import json
import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from semagram.config import from_json, to_json
from semagram.errors import UserError
from semagram.experiment import Experiment
from semagram.training import train
from semagram.training.checkpoint import read
from semagram.training.device import unlaunched
from semagram.training.processes import Processes, processes_of
from semagram.training.settings import Training
from semagram.training.strategies import Replicated, Sharded
from training.tiny_runs import experiment, sha256, words
from training.two_processes import RECIPE, of_one

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def together(tmp_path_factory) -> Path:
    """The folder that two processes left, with gloo between them; started as torchrun starts them."""
    out = tmp_path_factory.mktemp("together")
    (out / "text.txt").write_text(words())
    (out / "r.py").write_text(RECIPE)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    paths = [str(HERE.parent), str(HERE.parents[1] / "src"), os.environ.get("PYTHONPATH", "")]
    shared = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1", "MASTER_ADDR": "127.0.0.1"}
    shared |= {"MASTER_PORT": str(port), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "TORCHELASTIC_RUN_ID": "x"}
    shared |= {"GROUP_RANK": "0"}
    command = [sys.executable, str(HERE / "two_processes.py"), str(out)]
    children = []
    for rank in "01":
        ranked = {**shared, "RANK": rank, "LOCAL_RANK": rank}
        with (out / f"said{rank}").open("w") as said:
            children.append(subprocess.Popen(command, env=ranked, stdout=said, stderr=subprocess.STDOUT))
    codes = [child.wait(timeout=300) for child in children]
    assert codes == [0, 0], (out / f"said{codes.index(max(codes, key=abs))}").read_text()
    return out


def losses(run: Path) -> list[float]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [line["train_nats"] for line in lines if "train_nats" in line]


def same_tensors(a: Path, b: Path) -> None:
    one, two = read(a / "checkpoints/last.safetensors"), read(b / "checkpoints/last.safetensors")
    assert one.identity.text == two.identity.text and one.progress.step == two.progress.step
    for mine, theirs in ((one.weights, two.weights), (one.optimiser, two.optimiser)):
        assert mine.keys() == theirs.keys()
        for name in mine:
            assert torch.equal(mine[name], theirs[name]), name


@pytest.mark.parametrize("name", ["replicated", "sharded"])
def test_fifty_steps_of_two_processes_are_those_of_one(together, tmp_path, name):
    train(of_one(name), words(), tmp_path / "one")
    mine, theirs = losses(together / name), losses(tmp_path / "one")
    assert len(mine) == 50 and max(abs(a - b) for a, b in zip(mine, theirs, strict=True)) < 1e-5
    assert theirs[-1] < theirs[0] - 0.5
    # One process that adds its gradients in the same two parts has the same bits, in the checkpoint as well.
    parts = replace(of_one(name), training=replace(of_one(name).training, accumulate=2))
    train(parts, words(), tmp_path / "parts")
    assert losses(together / name) == losses(tmp_path / "parts")
    same_tensors(together / name, tmp_path / "parts")


def test_muon_in_shards_is_muon(together, tmp_path):
    e = of_one("muon")
    train(replace(e, training=replace(e.training, accumulate=2)), words(), tmp_path / "parts")
    same_tensors(together / "muon", tmp_path / "parts")


def test_a_page_in_shards_with_parts_is_the_page_of_one_process(together, tmp_path):
    train(of_one("page"), words(), tmp_path / "one")
    assert losses(together / "page") == pytest.approx(losses(tmp_path / "one"), abs=1e-5)


def test_two_processes_stop_and_go_on_and_one_goes_on_where_they_stopped(together, tmp_path):
    """The order of stopping is each process's own; what is agreed is the first's."""
    assert sha256(together / "stopped/model.safetensors") == sha256(together / "muon/model.safetensors")
    whole = together / "replicated"
    again = train(of_one("replicated"), words(), whole, resume=True)  # finished: it takes no step and writes the same
    kept = read(whole / "checkpoints/last.safetensors").weights
    assert again.step == 50
    assert all(torch.equal(kept[name], tensor) for name, tensor in again.network.state_dict().items())


def test_one_process_speaks_and_the_others_are_silent(together):
    told = [(together / f"said{rank}").read_text() for rank in "01"]
    assert "bits" in told[0]
    assert "bits" not in told[1]
    assert (together / "cli/report.html").exists() and (together / "cli/result.json").exists()


TORCHRUN = {"LOCAL_WORLD_SIZE": "2", "WORLD_SIZE": "6", "RANK": "3", "LOCAL_RANK": "1"}
SRUN = {"SLURM_STEP_NUM_TASKS": "8", "SLURM_STEP_NUM_NODES": "2", "SLURM_PROCID": "0", "SLURM_NTASKS": "8"}
SRUN |= {"SLURM_NTASKS_PER_NODE": "4", "SLURM_NODEID": "0", "SLURM_LOCALID": "0"}


@pytest.mark.parametrize(
    ("settings", "environment", "found"),
    [
        ({}, {}, Processes(1, 1, "semagram", True)),
        ({"devices": 2}, {}, Processes(2, 1, "semagram", True)),
        ({"devices": 2}, {"LOCAL_RANK": "1"}, Processes(2, 1, "semagram", False)),
        ({}, TORCHRUN, Processes(2, 3, "torchrun", False)),
        ({"devices": 2, "nodes": 3}, TORCHRUN, Processes(2, 3, "torchrun", False)),
        ({}, SRUN, Processes(4, 2, "slurm", True)),
        ({}, {**SRUN, **TORCHRUN}, Processes(2, 3, "torchrun", False)),
        ({}, {"SLURM_NTASKS": "8", "SLURM_PROCID": "0"}, Processes(1, 1, "semagram", True)),  # the script of sbatch
    ],
)
def test_who_started_whom_is_read_from_the_environment(settings, environment, found):
    assert processes_of(Training(**settings), environment) == found


@pytest.mark.parametrize(
    ("settings", "environment", "said"),
    [
        ({"nodes": 2}, {}, "training.nodes is 2, but nothing started processes on other machines: use torchrun"),
        ({"devices": 4}, TORCHRUN, "training.devices is 4, but torchrun started 2 processes on each machine"),
        ({"nodes": 1}, SRUN, "training.nodes is 1, but slurm started 2 machines"),
        ({}, {**SRUN, "SLURM_STEP_NUM_TASKS": "5"}, "5 tasks on 2 machines"),
        ({}, {k: v for k, v in SRUN.items() if k != "SLURM_NTASKS_PER_NODE"}, "each machine: --ntasks-per-node 4"),
        ({}, {**TORCHRUN, "WORLD_SIZE": "5"}, "torchrun started 5 processes, 2 of them here"),
    ],
)
def test_what_disagrees_is_refused(settings, environment, said):
    with pytest.raises(UserError, match=said):
        processes_of(Training(**settings), environment)


@pytest.mark.parametrize(
    ("settings", "environment", "kind", "cluster"),
    [
        ({}, {}, "SingleDeviceStrategy", None),
        ({"devices": 2}, {}, "DDPStrategy", "LightningEnvironment"),
        ({"strategy": Sharded()}, SRUN, "ModelParallelStrategy", "SLURMEnvironment"),
        ({"strategy": Replicated(unreached=True)}, TORCHRUN, "DDPStrategy", "TorchElasticEnvironment"),
    ],
)
def test_fabric_is_told_who_shares_the_work(settings, environment, kind, cluster, monkeypatch):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(
        "lightning_fabric.plugins.environments.slurm.SLURMEnvironment._validate_srun_used", lambda *_: None
    )
    settings = Training(batch=24, device="cpu", **settings)
    processes = processes_of(settings)
    strategy = unlaunched(settings, processes).strategy
    assert type(strategy).__name__ == kind
    if cluster is not None:
        assert type(strategy.cluster_environment).__name__ == cluster
        assert strategy.num_processes == processes.here and strategy.num_nodes == processes.nodes
        assert strategy.cluster_environment.creates_processes_externally == (processes.started_by != "semagram")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"strategy": Sharded()}, "Sharded shares a network among processes, but there is one only"),
        ({"strategy": Replicated(unreached=True)}, "is for several processes, but there is one only"),
        ({"devices": 2, "batch": 3}, r"must be a multiple of processes x training.accumulate \(2 x 1\)"),
    ],
)
def test_what_one_process_cannot_share_is_refused(settings, said):
    settings = Training(device="cpu", **settings)
    with pytest.raises(UserError, match=said):
        unlaunched(settings, processes_of(settings, {}))


def test_where_it_is_trained_is_saved_and_changes_no_run(tmp_path):
    e = experiment(steps=4)
    there = replace(e, training=replace(e.training, strategy=Sharded(reshard=False), devices=2, nodes=1))
    assert from_json(Experiment, to_json(there)) == there
    result = train(replace(e, training=replace(e.training, recompute=True)), words(), tmp_path / "a")
    assert train(e, words(), tmp_path / "a", resume=True).step == result.step
    assert sha256(train(e, words(), tmp_path / "b").run / "model.safetensors") == sha256(
        result.run / "model.safetensors"
    )
    with pytest.raises(UserError, match=r"training.compile and .* Sharded"):
        Training(compile=True, strategy=Sharded())
