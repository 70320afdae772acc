"""All families side by side: of one size, equal in what is asked to be equal, tuned alike, carried out anywhere."""

from __future__ import annotations

import json
import sys
import types
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from semagram.config import from_json, to_json
from semagram.errors import UserError
from semagram.lab import comparison_tuning, launchers
from semagram.lab.boards import Automaton, Maze, Sudoku
from semagram.lab.compare import compare
from semagram.lab.comparison_contestants import Counting, FromMembers, find
from semagram.lab.comparison_equal import equalised, experiments_of, size_of
from semagram.lab.comparison_judged import ComparedText
from semagram.lab.comparison_operations import flops_a_token
from semagram.lab.comparison_run import run
from semagram.lab.comparison_tuning import dev_text, tuned, variants
from semagram.lab.families import families
from semagram.lab.launchers import Cell, Local, Ray, Slurm, launcher_of
from semagram.lab.tasks import OnALine, Recall, attempt
from semagram.mixers import Convolution
from semagram.models import Transformer
from semagram.training.budget import Budget

TEXT = ComparedText(
    ("text",), "Call me Ishmael. Some years ago, never mind how long, I went to sea; 0123456789!\n" * 60, 0.1
)

CAUSAL = attempt.Visibility.CAUSAL


def test_every_family_is_there_and_none_is_larger_than_the_others():
    found = {family.name: family.contestant for family in families()}
    assert len(found) >= 12 and next(iter(found)) == "transformer"
    sizes = {name: sum(size_of(e, TEXT) for e in experiments_of(c)) for name, c in found.items()}
    trained = {name: size for name, size in sizes.items() if size and name != "ensemble"}
    assert all(90_000 <= size <= 200_000 for size in trained.values()), trained
    assert found["kan"].experiment.model.links.order == 3
    assert [c.name for c in find(["family:kan", "family:trees"])] == ["kan", "trees", "ngram"]
    with pytest.raises(UserError, match=r"no family 'kam'; there are transformer, .*Did you mean .kan."):
        find(["family:kam"])


@pytest.mark.parametrize("family", families(), ids=lambda f: f.name)
def test_every_family_tries_a_task(family, monkeypatch):
    if family.name == "trees":
        pytest.importorskip("lightgbm")
    monkeypatch.setattr(attempt, "COUNTED", 40)
    monkeypatch.setattr(attempt, "JUDGED_ON", 8)
    found = attempt.attempt(family.contestant, Recall(pairs=4, keys=8, values=8), 0.01, 0)
    assert 0 <= found.accuracy <= 1 and found.nats > 0
    assert (found.steps > 0) == (found.parameters > 0) == (not isinstance(family.contestant, Counting))


def test_what_sees_all_cells_is_not_shown_the_answers(monkeypatch):
    """Change an answer: no logits move, since it is hidden."""
    page = next(f.contestant for f in families() if f.name == "page")
    task = OnALine(Sudoku(clues=12))
    batch = task.sample(4, torch.Generator().manual_seed(0))
    network = page.experiment.model.build(task.vocabulary_size, attempt.Sequence(task.length), attempt.Visibility.FULL)
    with torch.no_grad():
        torch.nn.init.normal_(network.head.weight)
        before = attempt._asked(network.eval(), batch, task)
        other = replace(batch, ids=torch.where(batch.scored, (batch.ids + 1) % 4, batch.ids))
        assert torch.equal(attempt._asked(network, other, task), before)


@pytest.mark.parametrize("board", [Automaton(rule=30, height=3, width=8, noise=0.0), Maze(rooms=2), Sudoku(clues=8)])
def test_a_board_on_a_line_has_one_answer_and_says_which(board):
    task = OnALine(board)
    batch = task.sample(5, torch.Generator().manual_seed(3))
    cells = task.cells
    assert batch.ids.shape == (5, task.length) and int(batch.ids.max()) < task.vocabulary_size
    puzzle, answer = batch.ids[:, :cells], batch.ids[:, cells + 1 :]
    assert board.solved(answer.numpy()).all()
    hidden = batch.scored[:, cells + 1 :]
    assert torch.equal(puzzle == len(board.symbols), hidden) and not batch.scored[:, : cells + 1].any()
    assert torch.equal(puzzle[~hidden], answer[~hidden])
    with pytest.raises(UserError, match=r"an automaton of noise 0, got 0\.1"):
        OnALine(Automaton(noise=0.1))


@pytest.fixture
def pair(recipe) -> list:
    return find([recipe("one"), recipe("two", depth=2)])


def test_equal_arithmetic_and_equal_tokens(pair):
    (one, two, ngram), budget = equalised(pair, "flops", Budget(40.0, "steps"), TEXT)
    assert budget is None and ngram == Counting()
    tokens = [c.experiment.training.budget.amount for c in (one, two)]
    assert tokens[0] == 40 * 4 * 16 and one.experiment.training.budget.unit == "tokens"
    each = [flops_a_token(c.experiment, TEXT) for c in (one, two)]
    assert tokens[0] * each[0] == pytest.approx(tokens[1] * each[1], rel=1e-3) and each[1] > 1.5 * each[0]
    same, budget = equalised(pair, "tokens", Budget(40.0, "steps"), TEXT)
    assert same == pair and budget == Budget(2560.0, "tokens")
    assert equalised(pair, "cpu", Budget(3.0, "seconds"), TEXT)[1] == Budget(3.0, "cpu_seconds")
    with pytest.raises(UserError, match="needs a budget in seconds, like 30s; got 40 steps"):
        equalised(pair, "cpu", Budget(40.0, "steps"), TEXT)
    with pytest.raises(UserError, match="need a budget in tokens or steps"):
        equalised(pair, "flops", Budget(3.0, "seconds"), TEXT)


def test_equal_sizes(pair):
    one, two, _ = pair
    wide = replace(one, experiment=replace(one.experiment, model=Transformer(width=64, depth=1)))
    (first, second, _), _ = equalised([wide, two, Counting()], "parameters", Budget(4.0, "steps"), TEXT)
    sizes = [size_of(c.experiment, TEXT) for c in (first, second)]
    assert first == wide and second.experiment.model.depth == 2 and abs(sizes[0] - sizes[1]) < 0.1 * sizes[0]
    narrow = replace(two, experiment=replace(two.experiment, model=Transformer(width=16, depth=1, mixer=Convolution())))
    large = replace(one, experiment=replace(one.experiment, model=Transformer(width=256, depth=8)))
    with pytest.raises(UserError, match=r"cannot be given .* parameters by its width"):
        equalised([large, narrow], "parameters", Budget(4.0, "steps"), TEXT)


def test_processor_seconds_are_a_budget():
    assert Budget.parse("30cpu-s") == Budget(30.0, "cpu_seconds") and Budget.parse("2cpu-m").amount == 120
    assert Budget.parse("30s").unit == "seconds"
    with pytest.raises(UserError, match="like 30s, 5m, 1h, 30cpu-s"):
        Budget.parse("30cpu")


def test_every_contestant_has_as_many_tries_and_none_sees_the_held_out_text(recipe, tmp_path, monkeypatch):
    seen: list[str] = []
    real = comparison_tuning.run

    def watched(contestant, seed, budget, text, folder, **options):
        seen.append(text.whole)
        return real(contestant, seed, budget, text, folder, **options)

    monkeypatch.setattr(comparison_tuning, "run", watched)
    one, out = recipe("one"), tmp_path / "out"
    found = compare(one, "ngram:2", seeds=1, trials=2, out=out)
    tuning = json.loads((out / "tuning.json").read_text())
    assert [len(t["dev_bits_per_character"]) for t in tuning] == [2, 2, 2] and len(seen) == 6
    assert all(whole == found.text.training for whole in seen) and found.text.held_out
    assert "Each had 2 tries, judged on the last 10% of the training text" in found.equal
    assert "--trials" in found.command
    # Again: nothing is repeated, nothing changes.
    kept = {path: path.stat().st_mtime_ns for path in (out / "trials").rglob("*.json")}
    compare(one, "ngram:2", seeds=1, trials=2, out=out)
    assert {path: path.stat().st_mtime_ns for path in (out / "trials").rglob("*.json")} == kept


def test_the_best_try_goes_on(tmp_path, monkeypatch):
    dev = {"order 6": 3.0, "order 5": 2.0, "order 7": None}

    def told(contestant, seed, budget, text, folder, **options):
        words = f"order {contestant.config.order}"
        score = dev[words]
        judged = None if score is None else types.SimpleNamespace(nll=score, nll_upper_bound=None, pseudo_nll=None)
        return types.SimpleNamespace(failed=None if judged else "broke", judged=judged)

    monkeypatch.setattr(comparison_tuning, "run", told)
    found = tuned(Counting(), 3, None, TEXT, tmp_path, lambda line: None)
    assert found.words == "order 5" and found.chosen.config.order == 5 and found.dev == (3.0, 2.0, None)
    assert dev_text(TEXT).whole == TEXT.training
    for family in families():
        assert len({repr(v) for _, v in variants(family.contestant)}) == len(variants(family.contestant)) >= 8
        assert variants(family.contestant)[0][1] == family.contestant
    with pytest.raises(UserError, match="trials must be from 1 to 8, got 9"):
        tuned(Counting(), 9, None, TEXT, tmp_path, lambda line: None)


def test_members_share_a_budget_and_answer_as_one(recipe, tmp_path, text):
    one, two, _ = find([recipe("one"), recipe("two", depth=2)])
    pair = FromMembers("pair", (one.experiment, two.experiment))
    compared = ComparedText.of([str(text)], 0.1)
    found = run(pair, 3, Budget(6, "steps"), compared, tmp_path / "pair", coded=True)
    assert found.seed == 3 and found.steps == 6 and found.failed is None, found.failed
    configs = [json.loads((tmp_path / f"pair/member-{n}/config.json").read_text()) for n in (0, 1)]
    assert [c["training"]["budget"]["amount"] for c in configs] == [3.0, 3.0]
    nats, lengths = found.nats()
    assert found.judged and found.judged.coded and lengths.sum() == len(compared.held_out)
    assert found.judged.nll == pytest.approx(nats.sum() / 0.6931471805599453 / len(compared.held_out))
    assert run(pair, 3, Budget(6, "steps"), compared, tmp_path / "pair", coded=True) == found


def test_cells_are_carried_out_by_processes_and_found_again(recipe, tmp_path, monkeypatch):
    out, said = tmp_path / "out", []
    found = compare(recipe("one"), seeds=1, out=out, launcher=Local(2), say=said.append)
    assert "2 of 2 runs came back." in said and (out / "runs/one/seed-0/cell.json").exists()
    assert found.rows[0].done and found.rows[0].results[0].steps == 4
    monkeypatch.setattr(launchers.Local, "run", lambda *_: pytest.fail("all of it was there"))
    compare(recipe("one"), seeds=1, out=out, launcher=Local(2))


COMMANDS = [["true"], ["false"], ["true"]]


def test_slurm_is_asked_through_submitit(tmp_path, monkeypatch):
    """Against a submitit that says what it was told; what is installed is asked for real, without a cluster."""
    told: dict[str, object] = {}

    class Executor:
        def __init__(self, folder, cluster):
            told.update(folder=folder, cluster=cluster)

        def update_parameters(self, **settings):
            told.update(settings)

        def map_array(self, call, commands):
            lost = types.SimpleNamespace(result=lambda: 1 / 0)
            return [*(types.SimpleNamespace(result=lambda c=c: call(c)) for c in commands[:-1]), lost]

    monkeypatch.setitem(sys.modules, "submitit", types.SimpleNamespace(AutoExecutor=Executor))
    slurm = Slurm(workers=7, minutes=5, cpus=2, gpus=1, partition="short")
    assert slurm.run(COMMANDS, tmp_path) == [0, 1, -1]
    assert told == {
        "folder": tmp_path / "slurm", "cluster": None, "slurm_array_parallelism": 7, "timeout_min": 5,
        "cpus_per_task": 2, "gpus_per_node": 1, "slurm_partition": "short",
    }  # fmt: skip


def test_submitit_itself(tmp_path):
    pytest.importorskip("submitit")
    assert Slurm(cluster="debug").run(COMMANDS, tmp_path) == [0, 1, 0]


def test_ray_is_told_how_much_a_task_needs(tmp_path, monkeypatch):
    told: dict[str, object] = {}

    def remote(**settings):
        told.update(settings)
        return lambda call: types.SimpleNamespace(remote=call)

    ray = types.SimpleNamespace(
        is_initialized=lambda: False, init=lambda **words: told.update(init=words), remote=remote,
        wait=lambda waiting, num_returns: (waiting[:1], waiting[1:]), get=list,
    )  # fmt: skip
    monkeypatch.setitem(sys.modules, "ray", ray)
    assert Ray(workers=2, cpus=0.5).run(COMMANDS, tmp_path) == [0, 1, 0]
    assert told["num_cpus"] == 0.5 and told["num_gpus"] == 0.0 and "init" in told


def test_launchers_are_named_and_what_is_missing_is_said(tmp_path, monkeypatch):
    assert launcher_of("local", 1) is None and launcher_of("local", 3) == Local(3)
    assert launcher_of("slurm", 9) == Slurm(workers=9) and launcher_of("ray", 1) == Ray()
    for launcher in (Local(2), Slurm(gpus=1, partition="short"), Ray(cpus=2.0)):
        assert from_json(launchers.Launcher, to_json(launcher)) == launcher
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r"needs the package ray: pip install 'semagram\[ray\]'"):
        Ray().run(COMMANDS, tmp_path)
    with pytest.raises(UserError, match="workers must be at least 1"):
        Local(0)


def test_a_cell_says_all_that_a_run_needs(recipe, tmp_path, text):
    (one, _) = find([recipe("one")])
    compared, place = ComparedText.of([str(text)], 0.1), tmp_path / "place"
    place.mkdir()
    cell = Cell(one, 5, Budget(2.0, "steps"), compared, place, False)
    (place / launchers.CELL).write_text(json.dumps(launchers._cell_as_json(cell)))
    assert launchers.main([str(place / launchers.CELL)]) == 0
    assert run(one, 5, Budget(2.0, "steps"), compared, place).steps == 2
    Path(text).write_text("another text " * 300)
    with pytest.raises(UserError, match="is another one here"):
        launchers.main([str(place / launchers.CELL)])
