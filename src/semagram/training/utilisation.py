"""Model FLOPs utilisation (PaLM, arXiv 2204.02311): the arithmetic that a model needs over what the devices could do.

    utilisation = 3 x forward operations a token x tokens a second / (devices x peak operations a second)

A backward pass counts as two forward passes; what is computed again (``training.recompute``) counts for nothing, and
neither do norms, activations and other elementwise work. Counted by torch's own counter on one canvas.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from semagram.errors import UserError
from semagram.layouts.geometry import Geometry
from semagram.training.settings import Training

if TYPE_CHECKING:
    from lightning_fabric import Fabric


def forward_flops(network: Any, geometry: Geometry) -> float | None:
    """Operations a token of a forward pass over one canvas of ``geometry``; None where torch cannot count them.

    The network is left as it was.
    """
    from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

    # Torch does not know its own fused attention on a CPU. As on other devices, every pair counts, causal or not.
    fused: Any = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu

    def pairs(query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
        return sdpa_flop_count(query, key, value)

    ids = torch.zeros(1, geometry.count, dtype=torch.int64, device=geometry.coords.device)
    was_training = network.training
    try:
        with torch.no_grad(), FlopCounterMode(display=False, custom_mapping={fused: pairs}) as counter:
            network.eval()
            network(ids, geometry)
    except (RuntimeError, NotImplementedError):
        return None
    finally:
        network.train(was_training)
    return counter.get_total_flops() / geometry.count


def measured_peak(device: torch.device, dtype: torch.dtype = torch.float32) -> float:
    """TFLOP/s of large matrix products on ``device`` now: the best of five, after one that is not counted."""
    size = 1024 if device.type == "cpu" else 8192
    a, b = (torch.ones(size, size, device=device, dtype=dtype) for _ in range(2))
    best = float("inf")
    for number in range(6):
        began = time.perf_counter()
        torch.mm(a, b)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        elif device.type == "mps":
            torch.mps.synchronize()
        best = min(best, time.perf_counter() - began) if number else best
    return 2 * size**3 / best / 1e12


class Utilisation:
    """``Utilisation(...).of(tokens, seconds)``: what a step came to, by name."""

    def __init__(
        self, settings: Training, network: nn.Module, geometry: Geometry, half: Geometry | None, fabric: Fabric
    ) -> None:
        """``half``: of lines that are halved at first. ``UserError`` for operations that torch cannot count."""
        whole = forward_flops(network, geometry)
        if not whole:
            raise UserError("training.peak_tflops needs operations that torch can count; this network has others.")
        self._flops = {False: whole, True: whole if half is None else forward_flops(network, half) or whole}
        peak = settings.peak_tflops
        if peak == "measured" or peak is None:
            lower = fabric._precision.precision == "bf16-mixed"
            peak = measured_peak(fabric.device, torch.bfloat16 if lower else torch.float32)
        self._peak = fabric.world_size * peak

    def of(self, tokens: int, seconds: float, halved: bool) -> dict[str, float]:
        """Of a step: ``tflops_per_second`` of all devices, and ``utilisation``, their share of the peak."""
        done = 3 * self._flops[halved] * tokens / seconds / 1e12
        return {"tflops_per_second": done, "utilisation": done / self._peak}
