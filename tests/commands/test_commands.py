"""The commands from end to end, at toy size, as a person or a program would use them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from semagram.cli import COMMANDS, main

TEXT = "the quick brown fox jumps over the lazy dog.\nPACK MY BOX, with five dozen jugs!\n" * 12
QUICK = ["--model.width", "32", "--model.depth", "1", "--layout.length", "32", "--training.batch", "4"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run, and its text beside it."""
    folder = tmp_path_factory.mktemp("commands")
    (folder / "book.txt").write_text(TEXT)
    words = [str(folder / "book.txt"), *QUICK, "--budget", "40steps", "--quiet", "--out", str(folder / "run")]
    assert main(["train", *words]) == 0
    return folder / "run"


def test_a_run_folder_is_enough_to_repeat_the_run(run: Path) -> None:
    for name in ("config.json", "tokenizer.json", "environment.json", "metrics.jsonl", "model.safetensors"):
        assert (run / name).stat().st_size > 0
    assert (run / "report.html").read_text().lstrip().startswith("<!doctype html>")
    assert all(json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines())


def test_score_agrees_with_training(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["score", str(run), "--json"]) == 0
    held_out = json.loads(capsys.readouterr().out)
    assert held_out["characters"] == round(len(TEXT) * 0.1)
    assert main(["score", str(run), str(run.parent / "book.txt"), "--table", "--json"]) == 0
    whole = json.loads(capsys.readouterr().out)
    assert len(whole["table"]) == len(TEXT)
    assert sum(row["nats"] for row in whole["table"]) == pytest.approx(whole["total_nats"])
    assert whole["bits_per_character"] == pytest.approx(whole["nats_per_character"] / 0.6931471805599453)


def test_generate_is_repeatable_and_streams(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def written(*words: str) -> str:
        assert main(["generate", str(run), "--tokens", "30", *words]) == 0
        return capsys.readouterr().out

    first = written("--prompt", "the ", "--seed", "5")
    assert first == written("--prompt", "the ", "--seed", "5") and first.startswith("the ")
    assert first != written("--prompt", "the ", "--seed", "6")
    texts = json.loads(written("--prompt", "the quick", "a", "--samples", "2", "--json"))["texts"]
    assert len(texts) == 4 and [len(t) for t in texts] == [39, 39, 31, 31]
    assert "--- 2 ---" in written("--samples", "2")


def test_stop_text_ends_it_and_is_not_shown(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["generate", str(run), "--tokens", "200", "--stop", "o", "--json"]) == 0
    (text,) = json.loads(capsys.readouterr().out)["texts"]
    assert "o" not in text and len(text) < 200


def test_compress_and_decompress_in_a_fresh_process(run: Path, tmp_path: Path) -> None:
    assert main(["compress", str(run), str(run.parent / "book.txt"), "-o", str(tmp_path / "file")]) == 0
    words = ["decompress", str(run), str(tmp_path / "file"), "-o", str(tmp_path / "again.txt")]
    subprocess.run([sys.executable, "-m", "semagram", *words], check=True, capture_output=True)
    assert (tmp_path / "again.txt").read_bytes() == (run.parent / "book.txt").read_bytes()


def test_a_self_contained_file_needs_nothing_else(run: Path, tmp_path: Path) -> None:
    assert main(["compress", str(run), "-o", str(tmp_path / "file"), "--self-contained"]) == 0
    assert main(["decompress", "-", str(tmp_path / "file"), "-o", str(tmp_path / "text")]) == 0
    assert (tmp_path / "text").read_text() == TEXT[round(len(TEXT) * 0.9) :]


def test_resuming_a_finished_run_changes_nothing(run: Path) -> None:
    before = (run / "model.safetensors").read_bytes()
    words = [str(run.parent / "book.txt"), *QUICK, "--budget", "40steps", "--quiet", "--out", str(run), "--resume"]
    assert main(["train", *words]) == 0
    assert (run / "model.safetensors").read_bytes() == before


def test_a_users_own_recipe_works_like_a_built_in_one(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["recipes", "baseline"]) == 0
    source = capsys.readouterr().out
    assert "width=128" in source
    (tmp_path / "mine.py").write_text(source.replace("width=128", "width=24").replace("depth=3", "depth=1"))
    words = ["--recipe", str(tmp_path / "mine.py"), "--model.mixer.heads", "2", "--print-config"]
    assert main(["train", *words]) == 0
    model = json.loads(capsys.readouterr().out)["model"]
    assert (model["width"], model["depth"], model["mixer"]["heads"]) == (24, 1, 2)


def test_parts_are_exchanged_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--objective", "masked", "--writing", "unmasking", "--layout", "grid", "--layout.height", "4"]
    assert main(["train", *words, "--training.halved", "0", "--print-config"]) == 0
    config = json.loads(capsys.readouterr().out)
    assert config["objective"]["kind"] == "Masked"
    assert {"kind": "Grid", "height": 4, "width": 16, "scan": "rows"}.items() <= config["layout"].items()


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main([command, "--help"])
    assert end.value.code == 0 and f"semagram {command}" in capsys.readouterr().out


def test_lists(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["corpora", "--json"]) == 0
    assert {c["name"] for c in json.loads(capsys.readouterr().out)} >= {"pydocs", "tinyshakespeare", "enwik8"}
    assert main(["recipes", "--json"]) == 0
    assert {"baseline"} <= {r["name"] for r in json.loads(capsys.readouterr().out)}
    assert main(["--version"]) == 0 and main(["--help"]) == 0


def test_the_command_line_does_not_import_torch() -> None:
    code = "import sys, semagram.cli; semagram.cli.main(['--help']); sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
