"""A foreign checkpoint as a model of ours: all verbs work on it, and so do the commands."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import semagram
from hub.checkpoints import saved
from semagram.cli import main
from semagram.errors import UserError
from semagram.text.pretrained import Pretrained, PretrainedTokenizer
from semagram.text.tokenizers import tokenizer_from_json
from semagram.trained import load

pytestmark = pytest.mark.filterwarnings("ignore")

TEXT = "The old man went home, and the old dog went too: naïve, 3 times. " * 6


def engine(kind: str = "bytes") -> Any:
    """A tokenizer of theirs, trained on the text."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    special = ["<s>", "</s>", "<unk>", "[MASK]"]
    if kind == "bytes":
        made = Tokenizer(models.BPE())
        made.pre_tokenizer, made.decoder = pre_tokenizers.ByteLevel(add_prefix_space=True), decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer: Any = trainers.BpeTrainer(vocab_size=300, special_tokens=special, initial_alphabet=alphabet)
    elif kind == "marks":
        made = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True))
        made.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
        made.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
        falls = [f"<0x{byte:02X}>" for byte in range(256)]
        trainer = trainers.BpeTrainer(vocab_size=340, special_tokens=special + falls)
    else:
        made = Tokenizer(models.WordPiece(unk_token="<unk>"))
        made.normalizer, made.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
        made.decoder = decoders.WordPiece()
        trainer = trainers.WordPieceTrainer(vocab_size=120, special_tokens=special)
    made.train_from_iterator([TEXT], trainer)
    return made


def checkpoint(folder: Path, kind: str = "bytes") -> Path:
    """A Llama with that tokenizer and a few ids to spare."""
    made = engine(kind)
    size = made.get_vocab_size() + 3
    settings = {"vocab_size": size, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2}
    settings |= {"num_attention_heads": 4, "max_position_embeddings": 128, "bos_token_id": 0, "eos_token_id": 1}
    saved(folder, "Llama", "LlamaForCausalLM", **settings)
    made.save(str(folder / "tokenizer.json"))
    return folder


@pytest.mark.parametrize("kind", ["bytes", "marks"])
def test_all_verbs_work(kind: str, tmp_path: Path) -> None:
    model = semagram.load(checkpoint(tmp_path, kind))
    text = TEXT[:90] + "☃"
    assert model.tokenizer.decode(model.tokenizer.encode(text)) == text
    score = model.score(text)
    data = model.compress(text)
    assert model.decompress(data) == text
    assert abs(8 * len(data) - score.total_nats / np.log(2)) < 400
    assert model.generate("The old", 5, temperature=0).startswith("The old")  # type: ignore[union-attr]
    assert model.audit(text).passed
    assert load(model.save(tmp_path / "ours")).identity == model.identity


def test_the_text_costs_what_it_costs_there(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    folder = checkpoint(tmp_path)
    model, peer = semagram.load(folder), transformers.LlamaForCausalLM.from_pretrained(folder)
    ids = torch.tensor([[0, *model.tokenizer.encode(TEXT[:90])]])
    with torch.no_grad():
        loss = float(peer(ids, labels=ids).loss) * (ids.shape[1] - 1)
    assert abs(model.score(TEXT[:90]).total_nats - loss) <= 1e-3


def test_the_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = str(checkpoint(tmp_path / "peer"))
    (tmp_path / "text.txt").write_text(TEXT[:90], encoding="utf-8")
    assert main(["score", folder, str(tmp_path / "text.txt")]) == 0
    assert main(["generate", folder, "--prompt", "The", "--tokens", "3"]) == 0
    assert "The" in capsys.readouterr().out
    assert main(["export", folder, "-o", str(tmp_path / "out")]) == 0
    assert load(tmp_path / "out").identity == load(folder).identity


def test_a_masked_model_fills_and_scores(tmp_path: Path) -> None:
    made = engine("words")
    settings = {"vocab_size": made.get_vocab_size(), "hidden_size": 32, "intermediate_size": 48}
    settings |= {"num_hidden_layers": 2, "num_attention_heads": 4, "max_position_embeddings": 40}
    saved(tmp_path, "Bert", "BertForMaskedLM", **settings)
    made.save(str(tmp_path / "tokenizer.json"))
    model = load(tmp_path)
    mask = made.token_to_id("[MASK]")
    table: Any = model.network.embedding
    assert torch.equal(table.weight[-1], table.weight[mask])
    assert model.score("the old man").tokens == len(model.encode("the old man"))
    with pytest.raises(UserError, match="does not give the text back"):
        model.compress("The OLD man")


def test_a_tokenizer_of_others_is_a_part_like_any(tmp_path: Path) -> None:
    made = engine()
    made.save(str(tmp_path / "tokenizer.json"))
    tokenizer = Pretrained(str(tmp_path)).train("")
    assert tokenizer == tokenizer_from_json(tokenizer.to_json()) and tokenizer.vocabulary_size == made.get_vocab_size()
    assert tokenizer.lengths(tokenizer.encode(TEXT)).sum() == len(TEXT)
    assert "<s>" in tokenizer.decode([0])
    with pytest.raises(UserError, match="there is no"):
        Pretrained(str(tmp_path / "nothing")).train("")
    with pytest.raises(UserError, match="no tokenizer"):
        PretrainedTokenizer("{}", 3).encode("a")
    with pytest.raises(UserError, match="but the model only 3"):
        PretrainedTokenizer(made.to_str(), 3).token_bytes  # noqa: B018


def test_only_the_doors_know_the_neighbours() -> None:
    """transformers and x-transformers are imported on this shelf alone; and reading a checkpoint imports neither."""
    source = Path(semagram.__file__).parent
    users = set()
    for file in source.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            if any(name.split(".")[0] in ("transformers", "x_transformers") for name in names):
                users.add(str(file.relative_to(source)))
    assert users == {"hub/remote.py"}
