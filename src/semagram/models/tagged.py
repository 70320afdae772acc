"""A network on a layout with axes of tags: the trunk of the experiment, and what the axes put before and behind it.

    shown:    tags go in with the letters (``bundle.py``; ``crossed.py`` where each axis has a trunk of its own)
    asked:    the head has rows for the tags too: logits = [letters | axis 1 | axis 2 ...], and in training
              loss = NLL(letters) + sum_k weight_k * NLL(axis k),  each of the token that is asked for
    written:  tags are ids after the letters, cells of the canvas; what may follow what is fixed, so logits of ids that
              cannot come next are far below all others (a tag after a tag, letters after the last)

The trunk is any network of a line that does nothing with ids but embed them. Without tags all axes are unknown, which
axis dropout trains for. Slot i is shown letter i - 1 and its tags, as always: what its tags know is the protocol's
affair (``layouts/axes.py``), and made from ids by ``predictors/labelled.py``.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from semagram.errors import UserError
from semagram.feedforward.auxiliary import Carried, take_auxiliary_losses
from semagram.layouts import Layout, Sequence, Streams, Visibility
from semagram.layouts.axes import Crossed
from semagram.layouts.geometry import Geometry
from semagram.models.bundle import Bundle, pack
from semagram.models.crossed import CrossedNetwork
from semagram.models.hierarchical import Hierarchical
from semagram.models.transformer import Transformer

_NEVER = -1e4
"""Logit of what cannot come next."""


def network_of(model: Any, vocabulary_size: int, layout: Layout, visibility: Visibility) -> Any:
    """``model.build``, and around it what a layout's axes of tags need; ``UserError`` for what does not fit."""
    if not (isinstance(layout, Streams) and layout.tags):
        return model.build(vocabulary_size, layout, visibility)
    if visibility is not Visibility.CAUSAL:
        raise UserError(f"axes of tags need CAUSAL visibility, got {visibility.name}.")
    reason = refusal(model, layout)
    if reason is not None:
        raise UserError(reason)
    return TaggedNetwork(model, vocabulary_size, layout)


def refusal(model: Any, layout: Streams) -> str | None:
    """Why a model cannot read these axes; None when it can."""
    kind = type(model).__name__
    if not isinstance(model, Transformer | Hierarchical):
        return f"axes of tags are read by a Transformer or a Hierarchical, not by a {kind}."
    if isinstance(model, Hierarchical) and model.losses:
        return "a Hierarchical with losses asks for ids of letters, so it reads no tags: leave model.losses empty."
    if isinstance(layout.combine, Crossed) and not isinstance(model, Transformer):
        return f"combine Crossed makes its trunks of a Transformer's blocks, not of a {kind}: use Sum or Concat."
    return None


class TaggedNetwork(nn.Module):
    """See the module; a ``Network`` that also takes ``tags (b, n, shown + asked)``, -1 where unknown."""

    allowed: Tensor | None

    def __init__(self, model: Any, vocabulary_size: int, layout: Streams) -> None:
        super().__init__()
        self.vocabulary_size, self.visibility = vocabulary_size, Visibility.CAUSAL
        self.layout = layout
        self.sizes = tuple(axis.size for axis in layout.shown)
        self.asked = tuple((axis.name, axis.size, axis.loss_weight) for axis in layout.asked)
        self.dropouts = tuple(axis.dropout for axis in layout.shown)
        self.carried = Carried()
        # The trunk's reserved id comes after all that its head speaks of.
        self.wide = vocabulary_size + sum(size for _, size, _ in self.asked)
        line = Sequence(layout.count)
        if isinstance(layout.combine, Crossed):
            streams = {axis.name: k for k, axis in enumerate(layout.shown, start=1)}
            asked = tuple((streams.get(name, 0), size) for name, size, _ in self.asked)
            self.trunk: Any = CrossedNetwork(model, self.wide, self.sizes, asked, layout.combine, line)
        else:
            self.trunk = model.build(self.wide, line, Visibility.CAUSAL)
            if self.sizes:
                self.trunk.embedding = Bundle(self.trunk.embedding, self.sizes, layout.combine)
        written = [axis.size for axis in layout.written]
        table = None if not written else followers(vocabulary_size - sum(written), written, layout.every == "word")
        self.register_buffer("allowed", table, persistent=False)

    def forward(self, inputs: Tensor, geometry: Geometry, tags: Tensor | None = None) -> Tensor:
        """``(b, n) -> (b, n, v)``; in training, with ``tags``, the loss of what is asked for is carried."""
        logits = self.trunk(self._packed(inputs, tags), geometry)
        if self.training and tags is not None and self.asked:
            self._ask(logits, tags[..., len(self.sizes) :], geometry)
        return self._letters(logits, inputs)

    def new_state(self, batch: int, geometry: Geometry) -> Any:
        """The trunk's."""
        return self.trunk.new_state(batch, geometry)

    def step(self, inputs: Tensor, state: Any, tags: Tensor | None = None) -> Tensor:
        """The coming slots, ``(b, g) -> (b, g, v)``."""
        return self._letters(self.trunk.step(self._packed(inputs, tags), state), inputs)

    def auxiliary_losses(self) -> dict[str, Tensor]:
        """See the contract of models."""
        return take_auxiliary_losses(self)

    def axis_logits(self, inputs: Tensor, geometry: Geometry, tags: Tensor | None = None) -> dict[str, Tensor]:
        """What the heads of the axes that are asked for say, ``(b, n, s_k)`` by name."""
        return self._axes(self.trunk(self._packed(inputs, tags), geometry))

    def step_all(self, inputs: Tensor, state: Any, tags: Tensor | None = None) -> tuple[Tensor, dict[str, Tensor]]:
        """``step``, and with it what the heads of the axes say of the coming slots."""
        logits = self.trunk.step(self._packed(inputs, tags), state)
        return self._letters(logits, inputs), self._axes(logits)

    def _axes(self, logits: Tensor) -> dict[str, Tensor]:
        begin, found = self.vocabulary_size, {}
        for name, size, _ in self.asked:
            found[name] = logits[..., begin : begin + size]
            begin += size
        return found

    def _packed(self, inputs: Tensor, tags: Tensor | None) -> Tensor:
        if self.wide != self.vocabulary_size:
            inputs = torch.where(inputs == self.vocabulary_size, self.wide, inputs)
        if not self.sizes:
            return inputs
        if tags is None:
            return inputs  # code 0 of every axis: unknown
        shown = tags[..., : len(self.sizes)]
        if self.training and any(self.dropouts):
            share = torch.tensor(self.dropouts, device=shown.device)
            dropped = torch.rand(shown.shape[0], 1, len(self.sizes), device=shown.device) < share
            shown = shown.masked_fill(dropped, -1)
        return pack(inputs, shown, self.wide, self.sizes)

    def _letters(self, logits: Tensor, inputs: Tensor) -> Tensor:
        if self.asked:
            logits = logits[..., : self.vocabulary_size]
        return logits if self.allowed is None else logits.masked_fill(~self.allowed[inputs], _NEVER)

    def _ask(self, logits: Tensor, targets: Tensor, geometry: Geometry) -> None:
        begin = self.vocabulary_size
        kept = torch.ones_like(targets[..., 0], dtype=torch.bool) if geometry.keep is None else geometry.keep
        for k, (name, size, weight) in enumerate(self.asked):
            wanted = targets[..., k].masked_fill(~kept, -1)
            part = logits[..., begin : begin + size].flatten(0, 1)
            nats = F.cross_entropy(part, wanted.flatten(), ignore_index=-1, reduction="sum")
            self.carried.put(f"axis_{name}", weight * nats / (wanted >= 0).sum().clamp(min=1))
            begin += size


def followers(letters: int, sizes: list[int], once_a_word: bool) -> Tensor:
    """Which ids may follow which, bool ``(v + 1, v)``: letter, tag of axis 1, tag of axis 2, ..., letter.

    ``sizes``: the tags of each axis, whose ids come after the letters'. Anything may follow the reserved id v, since a
    canvas may begin anywhere. Once a word: after a letter another letter may come as well."""
    v = letters + sum(sizes)
    kind = torch.zeros(v, dtype=torch.long)
    begin = letters
    for k, size in enumerate(sizes, start=1):
        kind[begin : begin + size] = k
        begin += size
    following = (kind + 1) % (len(sizes) + 1)
    allowed = kind[None, :] == following[:, None]
    if once_a_word:
        allowed |= (kind == 0)[:, None] & (kind == 0)[None, :]
    return torch.cat([allowed, torch.ones(1, v, dtype=torch.bool)])
