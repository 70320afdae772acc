"""Checkpoints: one safetensors file with weights, optimiser state and, in its metadata, how far the run has come.

Never pickle. Tensors are named ``weights.<parameter>`` and ``optimiser.<state>``; a checksum of all of them stands in
the metadata, so that a damaged file is told from a good one.
"""

from __future__ import annotations

import dataclasses
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from semagram.errors import UserError
from semagram.training.files import replace_whole
from semagram.training.state import Progress

FORMAT = "semagram checkpoint 1"
_ABOUT = "semagram"
# One key only, here and in ``save_weights``: safetensors writes several in random order, and then equal weights would
# not make equal files.


@dataclass(frozen=True)
class Identity:
    """What a checkpoint belongs to, as fingerprints (SHA-256, hex)."""

    experiment: str
    tokenizer: str
    text: str

    def refuse_another(self, found: Identity, path: Path) -> None:
        """``UserError`` that names in what ``found``, of the checkpoint at ``path``, differs."""
        for what in ("experiment", "tokenizer", "text"):
            if getattr(found, what) != getattr(self, what):
                raise UserError(
                    f"{path} was made with another {what}: resume it with the one it was begun with, "
                    f"or use another --out."
                )


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint file holds."""

    progress: Progress
    identity: Identity
    weights: dict[str, Tensor]
    optimiser: dict[str, Tensor]


def save(path: Path, checkpoint: Checkpoint) -> None:
    """Write the file, whole or not at all; raises ``CannotWrite`` and then leaves the previous one as it was."""
    tensors = {f"weights.{name}": t for name, t in checkpoint.weights.items()}
    tensors |= {f"optimiser.{name}": t for name, t in checkpoint.optimiser.items()}
    tensors = {name: t.detach().cpu().contiguous() for name, t in tensors.items()}
    about = {
        "format": FORMAT,
        "progress": checkpoint.progress.to_json(),
        "identity": dataclasses.asdict(checkpoint.identity),
        "checksum": checksum(tensors),
    }
    metadata = {_ABOUT: json.dumps(about)}
    replace_whole(path, lambda temporary: save_file(tensors, temporary, metadata), (SafetensorError,))


def read(path: Path) -> Checkpoint:
    """Read and check a checkpoint; ``UserError`` for a file that is damaged or something else."""
    try:
        with safe_open(path, framework="pt") as file:
            about: dict[str, Any] = json.loads((file.metadata() or {}).get(_ABOUT, "{}"))
            # Cloned, since safetensors' tensors may be windows into a file that is soon replaced.
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
        if about.get("format") != FORMAT:
            raise UserError(f"{path} is no checkpoint of this kind: it says {about.get('format')!r}, not {FORMAT!r}.")
        if about["checksum"] != checksum(tensors):
            raise UserError(f"the checkpoint {path} is damaged: its checksum does not match. {_WAY_OUT}")
        progress, identity = Progress(**about["progress"]), Identity(**about["identity"])
    except (SafetensorError, OSError, json.JSONDecodeError, KeyError, TypeError) as error:
        raise UserError(f"the checkpoint {path} is damaged and cannot be read ({error}). {_WAY_OUT}") from error
    weights = {n.removeprefix("weights."): t for n, t in tensors.items() if n.startswith("weights.")}
    optimiser = {n.removeprefix("optimiser."): t for n, t in tensors.items() if n.startswith("optimiser.")}
    return Checkpoint(progress, identity, weights, optimiser)


_WAY_OUT = "Put best.safetensors of the same folder in its place, or start again in another folder."


def checksum(tensors: Mapping[str, Tensor]) -> int:
    """CRC-32 of the names, types, shapes and bytes of tensors, in the order of their names."""
    value = 0
    for name in sorted(tensors):
        tensor = tensors[name]
        value = zlib.crc32(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode(), value)
        value = zlib.crc32(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data, value)
    return value


def weights_of(network: nn.Module) -> dict[str, Tensor]:
    """The network's tensors by name; those that share memory (tied weights) once, under the first name."""
    found: dict[str, Tensor] = {}
    seen: set[tuple[int, int]] = set()
    for name, tensor in network.state_dict().items():
        place = (tensor.data_ptr(), tensor.numel())
        if tensor.numel() == 0 or place not in seen:
            found[name] = tensor
            seen.add(place)
    return found


def load_weights(network: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Copy ``weights`` into the network; raises ``UserError`` naming tensors that are missing, unknown or misshapen."""
    wanted = weights_of(network)
    missing, unknown = sorted(set(wanted) - set(weights)), sorted(set(weights) - set(wanted))
    if missing or unknown:
        raise UserError(
            f"these weights are of another network: missing {', '.join(missing[:3]) or 'nothing'}; "
            f"unknown {', '.join(unknown[:3]) or 'nothing'}."
        )
    with torch.no_grad():
        for name, tensor in wanted.items():
            if tensor.shape != weights[name].shape:
                raise UserError(
                    f"weight {name} has shape {tuple(weights[name].shape)} in the file, {tuple(tensor.shape)} in the "
                    f"network."
                )
            tensor.copy_(weights[name])


def save_weights(path: Path, network: nn.Module) -> None:
    """Write the weights alone (``model.safetensors``), whole or not at all; raises ``CannotWrite``.

    Equal weights make equal files.
    """
    tensors = {name: t.detach().cpu().contiguous() for name, t in weights_of(network).items()}
    replace_whole(path, lambda temporary: save_file(tensors, temporary, {"format": "pt"}), (SafetensorError,))


def all_finite(network: nn.Module) -> bool:
    """False when any weight is not a number or infinite."""
    return all(bool(torch.isfinite(t).all()) for t in network.state_dict().values() if t.is_floating_point())
