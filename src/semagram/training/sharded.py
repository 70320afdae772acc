"""Shards: a network whose every parameter is split by rows among the processes, and the way back to whole tensors.

A shard here is a ``DTensor`` split along its first axis over all processes (FSDP2). ``whole`` gathers, ``assign`` gives
each process its rows again; both are collective: every process must call them, in the same order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from semagram.errors import UserError
from semagram.training.recompute import blocks_of

if TYPE_CHECKING:
    from torch.distributed.device_mesh import DeviceMesh


def shard(network: nn.Module, mesh: DeviceMesh, reshard: bool) -> nn.Module:
    """Split ``network`` in place, block by block, the rest as one; the same object.

    ``UserError`` for a parameter that is a single number, which has no rows to split.
    """
    from torch.distributed.fsdp import fully_shard

    single = [name for name, p in network.named_parameters() if p.dim() == 0]
    if single:
        raise UserError(f"training.strategy Sharded splits rows, and {', '.join(single[:3])} has none: use Replicated.")
    for block in blocks_of(network):
        fully_shard(block, mesh=mesh, reshard_after_forward=reshard)
    fully_shard(network, mesh=mesh, reshard_after_forward=False)
    return network


def is_shard(tensor: Tensor) -> bool:
    """Whether this process holds a part of it only."""
    return hasattr(tensor, "full_tensor")


def whole(tensor: Tensor) -> Tensor:
    """The whole of a shard, in every process; any other tensor as it is."""
    return tensor.full_tensor() if is_shard(tensor) else tensor  # type: ignore[attr-defined]


def rows_of(full: Tensor, like: Any) -> Tensor:
    """This process's rows of ``full``, split as the shard ``like`` is; the rows of a process may be none."""
    mesh = like.device_mesh
    rank, count = mesh.get_local_rank(), mesh.size()
    each = -(-full.shape[0] // count)
    return full[min(rank * each, full.shape[0]) : min((rank + 1) * each, full.shape[0])]


def assign(shard: Any, full: Tensor) -> None:
    """Put this process's rows of ``full`` into ``shard``."""
    with torch.no_grad():
        shard.to_local().copy_(rows_of(full.to(shard.device), shard))


def like_shard(full: Tensor, like: Any) -> Tensor:
    """A shard with the values of ``full``, split as ``like`` is."""
    found = torch.zeros_like(like)
    assign(found, full)
    return found


def gather_into(plain: nn.Module, sharded: nn.Module) -> None:
    """Copy the whole weights of ``sharded`` into its plain twin."""
    with torch.no_grad():
        for mine, theirs in zip(plain.parameters(), sharded.parameters(), strict=True):
            mine.copy_(whole(theirs.detach()))
        for mine, theirs in zip(plain.buffers(), sharded.buffers(), strict=True):
            mine.copy_(theirs)


def scatter_from(plain: nn.Module, sharded: nn.Module) -> None:
    """Give the shards the weights of the plain twin."""
    with torch.no_grad():
        for mine, theirs in zip(plain.parameters(), sharded.parameters(), strict=True):
            assign(theirs.detach(), mine.detach())
        for mine, theirs in zip(plain.buffers(), sharded.buffers(), strict=True):
            theirs.copy_(mine)
