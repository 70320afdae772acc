"""Files that are whole or not there; checkpoints that come back to the bit."""

import errno
import os
import resource
import subprocess

import pytest
import torch

from semagram.errors import UserError
from semagram.training import SaveEvery, train
from semagram.training import checkpoint as checkpoints
from semagram.training.checkpoint import Checkpoint, Identity
from semagram.training.files import Appended, CannotWrite, replace_whole
from semagram.training.state import Progress
from training.tiny_runs import At, experiment, sha256, words

TEXT = words()


def some_checkpoint(step=3):
    weights = {
        "a": torch.randn(3, 4),
        "scalar": torch.tensor(2.0),
        "half": torch.randn(5).bfloat16(),
        "none": torch.zeros(0),
    }
    return Checkpoint(
        Progress(step=step, best_nats=1.25), Identity("e", "t", "x"), weights, {"adam.a.step": torch.tensor(3.0)}
    )


def test_a_checkpoint_comes_back_to_the_bit(tmp_path):
    path = tmp_path / "last.safetensors"
    written = some_checkpoint()
    checkpoints.save(path, written)
    found = checkpoints.read(path)
    assert found.progress == written.progress and found.identity == written.identity
    for mine, theirs in ((found.weights, written.weights), (found.optimiser, written.optimiser)):
        assert mine.keys() == theirs.keys() and all(torch.equal(mine[n], theirs[n]) for n in mine)
    assert [p.name for p in tmp_path.iterdir()] == ["last.safetensors"]


def test_it_is_no_pickle_and_may_be_read_by_whom_the_umask_allows(tmp_path):
    path = tmp_path / "last.safetensors"
    checkpoints.save(path, some_checkpoint())
    assert path.read_bytes()[8:9] == b"{"
    (tmp_path / "plain").touch()
    assert path.stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EACCES])
def test_a_failed_write_leaves_the_former_file_and_no_other(tmp_path, number):
    path = tmp_path / "file"
    path.write_text("before")

    def half(temporary):
        temporary.write_text("af")
        raise OSError(number, "No such luck")

    with pytest.raises(CannotWrite, match=r"could not write .*file: No such luck"):
        replace_whole(path, half)
    assert path.read_text() == "before" and [p.name for p in tmp_path.iterdir()] == ["file"]


def test_tied_weights_are_saved_once_and_loaded():
    tied = torch.nn.Sequential(torch.nn.Linear(3, 3, bias=False), torch.nn.Linear(3, 3, bias=False))
    tied[1].weight = tied[0].weight
    weights = checkpoints.weights_of(tied)
    assert list(weights) == ["0.weight"]
    checkpoints.load_weights(tied, {"0.weight": torch.eye(3)})
    assert torch.equal(tied[1].weight, torch.eye(3))
    with pytest.raises(UserError, match=r"missing 0\.weight; unknown 5\.weight"):
        checkpoints.load_weights(tied, {"5.weight": torch.eye(3)})
    with pytest.raises(UserError, match=r"0\.weight has shape \(2, 2\)"):
        checkpoints.load_weights(tied, {"0.weight": torch.eye(2)})


def test_a_log_is_cut_to_its_length_and_never_made_longer(tmp_path):
    path = tmp_path / "log"
    path.write_text("kept\nnot kept\n")
    log = Appended(path, 5)
    log.write("näxt\n")
    log.close()
    assert path.read_text() == "kept\nnäxt\n" and log.length == len(path.read_bytes())
    with pytest.raises(UserError, match=r"11 bytes.*when it had 12"):
        Appended(path, 12)


def stop_and_go_on(tmp_path, run, make_room, shrink):
    """Train into a disk that fills up, check what is left, make room, and end with the bits of the quiet run."""
    e = experiment(steps=20)
    whole = train(e, TEXT, tmp_path / "whole")
    with pytest.raises(UserError, match=r"could not write .*checkpoint of step 10 stands.*--resume") as raised:
        train(e, TEXT, run, watch=At(11, shrink), save=SaveEvery(steps=5))
    assert "\n" not in str(raised.value)
    assert checkpoints.read(run / "checkpoints/last.safetensors").progress.step == 10
    make_room()
    assert sorted(p.name for p in (run / "checkpoints").iterdir()) == ["best.safetensors", "last.safetensors"]
    train(e, TEXT, run, resume=True)
    assert sha256(run / "model.safetensors") == sha256(whole.run / "model.safetensors")


def test_a_file_that_may_not_grow(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        stop_and_go_on(
            tmp_path,
            tmp_path / "run",
            make_room=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard)),
            shrink=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, hard)),
        )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("bytes_left", [0, 40_000], ids=["nothing left", "room for half a checkpoint"])
def test_a_disk_that_is_full(tmp_path, bytes_left):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", disk], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("a file system of a known size cannot be mounted here")

    def fill():
        handle, size = os.open(disk / "filler", os.O_CREAT | os.O_WRONLY), 0
        try:
            while True:
                size += os.write(handle, bytes(4096))
        except OSError as error:
            assert error.errno == errno.ENOSPC
        os.ftruncate(handle, size - bytes_left)
        os.close(handle)

    try:
        stop_and_go_on(tmp_path, disk / "run", make_room=(disk / "filler").unlink, shrink=fill)
    finally:
        subprocess.run(["umount", disk], check=True)
