"""Checkpoints of transformers at random weights, saved as users find them; greedy writing with our stepping state."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from semagram.hub.hugging_face import Loaded
from semagram.layouts.geometry import Geometry

V = 61


def saved(folder: Path, kind: str, model: str, **settings: Any) -> Any:
    """A model of theirs with shaken weights, in eval mode and saved in ``folder``."""
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    peer = getattr(transformers, model)(getattr(transformers, f"{kind}Config")(**settings)).eval()
    for parameter in peer.parameters():
        parameter.data += torch.randn_like(parameter) * 0.1
    transformers.utils.logging.disable_progress_bar()
    peer.save_pretrained(folder)
    return peer


def some_ids(rows: int = 2, count: int = 23) -> Tensor:
    """Random ids, none of them a special one."""
    return torch.randint(3, V, (rows, count), generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def greedy(loaded: Loaded, prompt: Tensor, tokens: int) -> Tensor:
    """Prompt and continuation by the state that our predictors step, their first id in the first slot."""
    network: Any = loaded.network
    state = network.new_state(len(prompt), Geometry.line(prompt.shape[1] + tokens, loaded.visibility))
    text, logits = prompt, network.step(prompt, state)[:, -1:]
    for _ in range(tokens):
        text = torch.cat([text, logits.argmax(-1)], dim=1)
        logits = network.step(text[:, -1:], state)
    return text
