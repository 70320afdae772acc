"""Law 5: every option does something. Changing a field changes the parameters, the outputs or the training.

Two builds are compared whose configs differ in one field. They count as different when the names or shapes of their
parameters differ; or, with the same weights in both, an output in eval mode; or an output in training mode with the
same random numbers (dropout); or, built with the same random numbers, the weights they start with. A config that fails
all four has a field that does nothing.
"""

from __future__ import annotations

from typing import Any

import torch

from laws.cases import Case


def differs(a: Case, b: Case) -> str | None:
    """In what the two cases differ ("parameters", "outputs", "training", "start"), or None."""
    one, two = a.network(), b.network()
    shapes = [{name: tuple(p.shape) for name, p in net.named_parameters()} for net in (one, two)]
    if shapes[0] != shapes[1]:
        return "parameters"
    if a.layout.count != b.layout.count:
        return "outputs"
    two.load_state_dict(one.state_dict())
    for told in ("outputs", "training"):
        answers = []
        for case, net in ((a, one), (b, two)):
            net.train(told == "training")
            torch.manual_seed(3)
            answers.append(answer(net, case))
        if not torch.equal(answers[0], answers[1]):
            return told
    starts = []
    for case in (a, b):
        torch.manual_seed(0)
        starts.append(case.fresh().parameters())
    return None if all(torch.equal(p, q) for p, q in zip(*starts, strict=True)) else "start"


def answer(network: Any, case: Case) -> torch.Tensor:
    """Logits in cell order for one set of ids (by cell), read as the case's layout and visibility say."""
    ids, geometry = case.ids(batch=8), case.geometry()
    example = case.objectives()[0].example(ids, geometry, case.vocabulary, torch.Generator().manual_seed(1))
    with torch.no_grad():
        presented = network(example.inputs, geometry)
    return torch.empty_like(presented).index_copy_(1, geometry.order, presented)
