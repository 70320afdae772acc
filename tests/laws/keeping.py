"""Law 7: saved and loaded equals kept, to the bit; deepcopied equals and is independent; compiled equals."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from laws.broken import require
from laws.cases import Case
from laws.stepping import close, gap

SAVED = "saved and loaded equals kept"
COPIED = "a deep copy is equal and independent"
COMPILED = "compiled equals plain"


def check_saved(network: Any, case: Case, folder: Path) -> None:
    """Through a safetensors file into a network that was built with another seed."""
    inputs, geometry = case.inputs(), case.geometry()
    save_file(network.state_dict(), folder / "weights.safetensors")
    other = case.network(seed=1)
    with torch.no_grad():
        kept = network(inputs, geometry)
        require(not torch.equal(other(inputs, geometry), kept), SAVED, "two seeds give one network: nothing is shown")
        other.load_state_dict(load_file(folder / "weights.safetensors"))
        loaded = other(inputs, geometry)
    require(torch.equal(loaded, kept), SAVED, f"logits are {gap(loaded, kept)}")
    names = list(network.state_dict())
    require(names == list(other.state_dict()), SAVED, "two builds name their parameters differently")
    parameters = {name for name, _ in network.named_parameters(remove_duplicate=False)}
    require(parameters <= set(names), SAVED, f"not saved: {sorted(parameters - set(names))}")


def check_copied(network: Any, case: Case) -> None:
    """The copy answers alike, and goes on doing so when the original's weights are all destroyed."""
    inputs, geometry = case.inputs(), case.geometry()
    with torch.no_grad():
        kept = network(inputs, geometry)
        twin = copy.deepcopy(network)
        for parameter in network.parameters():
            parameter.fill_(float("nan"))
        copied = twin(inputs, case.geometry())
    require(torch.equal(copied, kept), COPIED, "destroying the original's weights changed the copy's answers")
    count, twin_count = (len(list(net.parameters())) for net in (network, twin))
    require(count == twin_count, COPIED, f"the copy has {twin_count} parameters, the original {count}")


def check_compiled(network: Any, case: Case, backend: str = "eager") -> None:
    """torch.compile with ``fullgraph``: no part may need Python in the middle. Values and gradients."""
    inputs = case.inputs()
    torch._dynamo.reset()
    told = []
    for net in (network, torch.compile(network, backend=backend, fullgraph=True)):
        network.zero_grad()
        logits = net(inputs, case.geometry())
        logits.square().sum().backward()
        told.append((logits.detach(), [p.grad.clone() for p in network.parameters() if p.grad is not None]))
    require(close(told[1][0], told[0][0]), COMPILED, f"logits are {gap(told[1][0], told[0][0])}")
    for plain, compiled in zip(told[0][1], told[1][1], strict=True):
        require(close(compiled, plain, 1e-4), COMPILED, f"gradients are {gap(compiled, plain)}")
