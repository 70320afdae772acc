"""Models of ours as Hugging Face folders: same ids, same logits, same greedy texts, and back again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from semagram.cli import main
from semagram.errors import UserError
from semagram.experiment import Experiment
from semagram.layouts import Grid, Sequence
from semagram.mixers import ALiBi, Attention
from semagram.models import Transformer
from semagram.text.tokenizers import BPE, Bytes, Characters
from semagram.trained import TrainedModel, load

pytest.importorskip("transformers")
pytestmark = pytest.mark.filterwarnings("ignore")

TEXT = "the cat sat on the mat.\nThe dog ä did not; 'tis true — so it goes, so it went.\n" * 8
CHARACTERS = Characters()
PROMPTS = ["the cat sat ä", "the\n c"]


def trained(tokenizer: Any = CHARACTERS, **fields: Any) -> TrainedModel:
    """A small model that was never trained, with nothing left at a constant start."""
    torch.manual_seed(0)
    mixer = Attention(heads=2, bias=ALiBi() if isinstance(tokenizer, Bytes) else None)
    given = {"layout": Sequence(64), "model": Transformer(width=32, depth=2, mixer=mixer), **fields}
    experiment, made = Experiment(tokenizer=tokenizer, **given), tokenizer.train(TEXT)
    visibility = experiment.objective.visibility
    network = experiment.model.build(made.vocabulary_size, experiment.layout, visibility)
    for parameter in network.parameters():
        parameter.data += torch.randn_like(parameter) * 0.2
    return TrainedModel(experiment, made, network)


def opened(folder: Path) -> tuple[Any, Any]:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=True)
    return AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=True), tokenizer


@pytest.mark.parametrize("tokenizer", [Characters(), Bytes(), BPE(300)], ids=lambda t: type(t).__name__)
def test_their_side_says_what_ours_says(tokenizer: Any, tmp_path: Path) -> None:
    model = trained(tokenizer)
    theirs, words = opened(model.export(tmp_path / "out"))
    for prompt in (*PROMPTS, TEXT[:60]):
        ids = model.tokenizer.encode(prompt).tolist()
        assert words(prompt).input_ids == ids and words.decode(ids) == prompt
    padded = words(PROMPTS, return_tensors="pt", padding=True, padding_side="left")
    written = theirs.generate(**padded, max_new_tokens=22, do_sample=False)
    assert words.batch_decode(written, skip_special_tokens=True) == model.generate(PROMPTS, 22, temperature=0)
    # What a scorer asks: the logits of the last positions, and the loss of labels after the begin token.
    ids = torch.tensor([model.tokenizer.encode(PROMPTS[0])])
    begun = torch.cat([torch.tensor([[words.bos_token_id]]), ids], dim=1)
    with torch.no_grad():
        out, bare = theirs(begun, labels=begun), theirs(ids)
        right = theirs(torch.cat([ids, begun], dim=1), attention_mask=torch.cat([ids * 0 + 1, begun * 0], dim=1))
    assert out.logits.shape[-1] == model.tokenizer.vocabulary_size + 1
    state = model.predictor.open(model.predictor.canvas(ids.shape[1]), 1)
    ours = state.read(ids)
    assert float((out.logits[:, :-1].log_softmax(-1)[..., :-1] - ours).abs().max()) <= 1e-5
    assert float((bare.logits - out.logits[:, 1:]).abs().max()) <= 1e-5
    assert float((right.logits[:, : ids.shape[1]] - bare.logits).abs().max()) <= 1e-5
    assert abs(float(out.loss) * ids.shape[1] - model.score(PROMPTS[0]).total_nats) <= 1e-3


def test_left_padding_and_rows_with_and_without_a_begin_token(tmp_path: Path) -> None:
    model = trained()
    theirs, words = opened(model.export(tmp_path / "out"))
    begin, ids = words.bos_token_id, words(PROMPTS[0]).input_ids
    rows = torch.tensor([[begin, begin, *ids], [begin, begin, begin, *ids[:-1]]])
    mask = torch.tensor([[0, 0] + [1] * len(ids), [0, 0] + [1] * len(ids)])
    with torch.no_grad():
        both = theirs(rows, attention_mask=mask).logits
        first, second = theirs(rows[:1, 2:]).logits, theirs(rows[1:, 2:]).logits
    assert float((both[0, 2:] - first[0]).abs().max()) <= 1e-5
    assert float((both[1, 2:] - second[0]).abs().max()) <= 1e-5


def test_there_and_back(tmp_path: Path) -> None:
    model = trained()
    folder = model.export(tmp_path / "out")
    assert load(folder).identity == model.identity
    theirs, _ = opened(folder)
    theirs.save_pretrained(tmp_path / "again")
    again = type(theirs).from_pretrained(tmp_path / "again")
    ids = torch.arange(5)[None]
    with torch.no_grad():
        assert torch.equal(again(ids).logits, theirs(ids).logits)
        assert theirs.__class__.from_pretrained(folder, dtype="bfloat16").dtype is torch.bfloat16


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trained().save(tmp_path / "run")
    assert main(["export", str(tmp_path / "run"), "-o", str(tmp_path / "out")]) == 0
    assert "trust_remote_code" in capsys.readouterr().out
    assert json.loads((tmp_path / "out" / "config.json").read_text())["model_type"] == "semagram"
    assert main(["export", str(tmp_path / "run"), "-o", str(tmp_path / "out")]) == 2
    assert "not an empty folder" in capsys.readouterr().err


def test_what_cannot_be_exported(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="writes a line from left to right"):
        trained(layout=Grid(4, 4)).export(tmp_path / "page")
    from semagram.objectives import Masked
    from semagram.predictors import Unmasking

    with pytest.raises(UserError, match="writes a line from left to right"):
        trained(objective=Masked(), writing=Unmasking()).export(tmp_path / "any")
    assert not list(tmp_path.iterdir())


def test_a_text_longer_than_the_context_is_refused(tmp_path: Path) -> None:
    theirs, _ = opened(trained().export(tmp_path / "out"))
    with pytest.raises(UserError, match="64 tokens at most, got 65"):
        theirs(torch.zeros(1, 64, dtype=torch.long))
