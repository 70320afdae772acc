"""Our weights, by x-transformers' names: the two then hold the same numbers, and their answers can be compared.

Heads keep their order; where rotary positions are used the features of a head are put from half-split to interleaved
planes; a gain is stored there less 1.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from laws.stepping import close, gap


def interleaved(weight: Tensor, head_width: int) -> Tensor:
    """Rows ``(h * d_h, d)`` from planes (i, i + d_h / 2) to planes (2 i, 2 i + 1)."""
    heads = weight.reshape(-1, 2, head_width // 2, weight.shape[1])
    return heads.transpose(1, 2).reshape(weight.shape)


def self_attention(mixer: Any, turned: bool) -> dict[str, Tensor]:
    queries, keys, values = mixer.inward.weight.split([mixer.sizes[0], mixer.sizes[1], mixer.sizes[1]])
    if turned:
        queries, keys = (interleaved(w, mixer.head_width) for w in (queries, keys))
    return {"to_q": queries, "to_k": keys, "to_v": values, "to_out": mixer.outward.weight}


def cross_attention(cross: Any) -> dict[str, Tensor]:
    keys, values = cross.keys_values.weight.chunk(2)
    return {"to_q": cross.queries.weight, "to_k": keys, "to_v": values, "to_out": cross.outward.weight}


def layers_of(blocks: Any, norm: Any, prefix: str = "", turned: bool = True, offset: float = 1.0) -> dict[str, Tensor]:
    """The state dict of its ``AttentionLayers`` for our blocks: norms with gains, an MLP without biases."""
    state: dict[str, Tensor] = {}

    def put(index: int, gain: Tensor, weights: dict[str, Tensor]) -> None:
        state[f"{prefix}layers.{index}.0.0.{'g' if offset else 'gamma'}"] = gain - offset
        for name, weight in weights.items():
            state[f"{prefix}layers.{index}.1.{name}.weight"] = weight

    index = 0
    for block in blocks:
        if getattr(block, "mixer", None) is not None:
            mixer = getattr(block.mixer, "attention", block.mixer)
            put(index, block.mixer_norm.gain, self_attention(mixer, turned))
            index += 1
        if block.cross is not None:
            put(index, block.cross_norm.gain, cross_attention(block.cross))
            index += 1
        feedforward = {"ff.0.0": block.feedforward.up.weight, "ff.2": block.feedforward.down.weight}
        put(index, block.feedforward_norm.gain, feedforward)
        index += 1
    state[f"{prefix}final_norm.g"] = norm.gain - offset
    return state


def load(peer: nn.Module, state: dict[str, Tensor]) -> None:
    """Every parameter of the peer is given, and nothing that it does not have."""
    theirs = dict(peer.named_parameters())
    assert set(theirs) == set(state), (sorted(set(theirs) - set(state)), sorted(set(state) - set(theirs)))
    with torch.no_grad():
        for name, parameter in theirs.items():
            assert parameter.shape == state[name].shape, (name, parameter.shape, state[name].shape)
            parameter.copy_(state[name])


def agree(ours: nn.Module, peer: nn.Module, mine: Tensor, theirs: Tensor, state_of: Any, skip: Any = ()) -> None:
    """Outputs to 1e-5; then gradients of a random scalar of them, parameter by parameter of the peer, to 1e-5.

    ``state_of`` names *tensors of ours* as the peer's; applied to gradients it names gradients.
    """
    assert close(mine, theirs, 1e-5), gap(mine, theirs)
    weight = torch.randn(mine.shape, generator=torch.Generator().manual_seed(5)) / mine.numel() ** 0.5
    for network, out in ((ours, mine), (peer, theirs)):
        network.zero_grad()
        (out * weight).sum().backward()
    compared = 0
    with torch.no_grad():
        for parameter in ours.parameters():
            parameter.data = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        for name, gradient in state_of().items():
            if name in skip:
                continue
            its = dict(peer.named_parameters())[name].grad
            gradient = gradient + 1.0 if name.endswith(".g") else gradient
            assert its is not None and close(gradient, its, 1e-5), f"{name}: {gap(gradient, its)}"
            compared += float(its.abs().max()) > 1e-4
    assert compared > 3, "hardly any gradient to compare"
