"""Distilled code says what the tree says, finds what there is to find, and looks at nothing to come."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from semagram.errors import UserError
from semagram.lab.context_tree import code_of, contexts_of, grow
from semagram.lab.distil import Distillation, distil_model, distil_text, kmeans
from semagram.text.labels import Function, peek_rate


def text_of(size: int) -> str:
    """Pieces in any order: after a letter comes a letter or a space, after a digit a stop."""
    random = np.random.default_rng(0)
    return "".join(random.choice(["abab ", "xyz ", "12. "], size))


def test_the_code_says_what_the_tree_says(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    text = "".join(random.choice(list("ab'\\\n\"c"), 600))
    classes = random.integers(0, 3, 600) * (np.frombuffer(text.encode(), dtype=np.uint8) % 2)
    contexts = contexts_of(text, np.arange(600), 3)
    tree = grow(contexts, classes, leaves=12, least=5)
    assert tree.leaves() == 12
    file = tmp_path / "labels.py"
    file.write_text(code_of(tree, ("none", "x", "y", "z"), 3, "A test."))
    labeller = Function(f"{file}:label", causal_by_promise=True)
    said = [1 + tree.answer("".join(map(chr, row[::-1]))) for row in contexts]
    assert labeller.label(text).tolist() == said and labeller.names() == ("none", "x", "y", "z")
    assert peek_rate(labeller, text[:100]).peeked == 0
    read = labeller.reader().read
    assert [read(char) for char in text[:50]] == said[:50]


def test_a_tree_finds_a_rule_of_two_characters() -> None:
    text = text_of(300)
    places = np.arange(1, len(text))
    classes = np.array([(text[p] in "ab") + 2 * (text[p - 1] == " ") for p in places])
    tree = grow(contexts_of(text, places, 3), classes, leaves=6)
    assert [tree.answer(text[max(p - 2, 0) : p + 1].rjust(3, "\0")) for p in places] == classes.tolist()
    with pytest.raises(UserError, match="at least 1 leaf"):
        grow(contexts_of(text, places, 3), classes, leaves=0)


def test_contexts_that_are_followed_alike_become_one_tag(tmp_path: Path) -> None:
    found = distil_text(text_of(500), Distillation(tags=3, context=1, leaves=8, order=1))
    assert found.agreement > 0.99 > found.majority and 0.5 < found.told < 2.5
    file = tmp_path / "labels.py"
    file.write_text(found.code)
    assert file.read_text().startswith('"""Clusters of the contexts')
    tags = Function(f"{file}:label", causal_by_promise=True).label("abab xyz 12. ")
    assert tags[4] == tags[8] == tags[12] != tags[11]


def test_clusters_are_found_and_ordered_by_size() -> None:
    random = np.random.default_rng(0)
    points = np.concatenate([random.normal(0, 0.1, (20, 2)), random.normal(5, 0.1, (50, 2))])
    found = kmeans(points, 2, seed=3)
    assert (found[:20] == 1).all() and (found[20:] == 0).all()
    with pytest.raises(UserError, match="cannot make 99 clusters"):
        kmeans(points, 99, seed=0)


def test_a_model_is_distilled(tmp_path: Path) -> None:
    import torch

    from semagram.experiment import Experiment
    from semagram.layouts import Sequence
    from semagram.models import Transformer
    from semagram.text import Characters
    from semagram.trained import TrainedModel

    text = text_of(120)
    tokenizer = Characters().train(text)
    experiment = Experiment(layout=Sequence(16), model=Transformer(width=16, depth=1))
    torch.manual_seed(0)
    network = experiment.model.build(tokenizer.vocabulary_size, experiment.layout, experiment.objective.visibility)
    model = TrainedModel(experiment, tokenizer, network)
    found = distil_model(model, text, Distillation(tags=3, context=2, leaves=8))
    # Even an untrained network holds the character that it read last.
    assert found.agreement > 0.8 and "def label" in found.code and found.leaves <= 8
    for settings, says in (({"tags": 1}, "2 tags"), ({"context": 0}, "at least 1"), ({"characters": 9}, "100")):
        with pytest.raises(UserError, match=says):
            Distillation(**settings)  # pyright: ignore[reportArgumentType]
