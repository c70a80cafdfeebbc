"""Several processes that train one network, one a GPU: each takes a part of every step's spectra.

The loss of a step is made of sums over its spectra (:mod:`.epochs`), so the gradients of all processes add up to
those of one process that has all spectra. This holds where a network looks at each spectrum by itself: it must not
normalise over the spectra of a step. An objective that compares them takes those of all processes
(:meth:`Processes.gathered`).
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from starglot.errors import StarglotError
from starglot.models.baselines.reading import use_device

#: Tensors whose first axis is the spectra of a step.
Batch: TypeAlias = tuple[Tensor, ...]
#: What adds up over batches, and of which the loss is made: a sum of errors and their number, say.
Sums: TypeAlias = tuple[Tensor, ...]


@dataclass(frozen=True)
class Processes:
    """The processes of a training: how many, and the number of this one."""

    count: int = 1
    number: int = 0

    @property
    def chief(self) -> bool:
        """Whether this is the one that writes."""
        return self.number == 0

    def sharing(self, network: nn.Module) -> nn.Module:
        """The network whose gradients are the means over all processes; its weights are ``network``'s own."""
        return network if self.count == 1 else DistributedDataParallel(network, broadcast_buffers=False)

    def part(self, batch: Batch) -> Batch:
        """This process's spectra of a step; none, where there are fewer spectra than processes."""
        return batch if self.count == 1 else tuple(each[self.number :: self.count] for each in batch)

    def added(self, sums: Sums) -> Sums:
        """The sums of all processes, without their gradients."""
        whole = tuple(each.detach().clone() for each in sums)
        if self.count > 1:
            for each in whole:
                dist.all_reduce(each)
        return whole

    def gathered(self, mine: Tensor) -> tuple[Tensor, int]:
        """(n of this process, ...) -> the rows of all processes, process after process, and where this one's begin.

        Gradients pass: a row's is the sum of what all processes make of it.
        """
        if self.count == 1:
            return mine, 0
        lengths = [torch.zeros((), dtype=torch.long, device=mine.device) for _ in range(self.count)]
        dist.all_gather(lengths, torch.tensor(len(mine), device=mine.device))
        rows: Tensor = _Gathered.apply(mine, self.number, [int(each) for each in lengths])  # type: ignore[no-untyped-call]
        return rows, sum(int(each) for each in lengths[: self.number])

    def backward(self, sums: Sums, loss: Callable[[Sums], Tensor]) -> Sums:
        """Take the gradients of the loss of all processes' spectra; returns the sums over these, without gradients.

        sums: over this process's spectra, by the network of :meth:`sharing`.
        """
        if self.count == 1:
            loss(sums).backward()  # type: ignore[no-untyped-call]
            return sums
        whole = self.added(sums)
        learning = [place for place, each in enumerate(sums) if each.requires_grad]
        leaves = [whole[place].requires_grad_() for place in learning]
        slopes = torch.autograd.grad(loss(whole), leaves)
        # times their number: gradients are averaged over processes, and these add up
        torch.autograd.backward([sums[place] for place in learning], [self.count * each for each in slopes])
        return tuple(each.detach() for each in whole)


class _Gathered(torch.autograd.Function):
    """Rows of all processes; back go the gradients of all processes, added up, of this one's rows."""

    @staticmethod
    def forward(ctx: Any, mine: Tensor, number: int, lengths: list[int]) -> Tensor:
        """lengths: rows of each process; padded to the longest, as all have to send equally many."""
        ctx.number, ctx.lengths = number, lengths
        padded = mine.new_zeros(max(lengths), *mine.shape[1:])
        padded[: len(mine)] = mine
        parts = [torch.empty_like(padded) for _ in lengths]
        dist.all_gather(parts, padded)
        return torch.cat([part[:n] for part, n in zip(parts, lengths, strict=True)])

    @staticmethod
    def backward(ctx: Any, slopes: Tensor) -> tuple[Tensor, None, None]:
        """slopes: by all rows."""
        whole = slopes.contiguous().clone()
        dist.all_reduce(whole)
        first = sum(ctx.lengths[: ctx.number])
        return whole[first : first + ctx.lengths[ctx.number]], None, None


#: A process that trains by itself.
ALONE = Processes()


def join_processes(gpus: int, where: str) -> Processes:
    """The processes that torchrun started for a training, which find each other here; one where it started none.

    gpus: that the training asks for, by the setting ``where``.  Raises StarglotError where there are not as many
    processes, or no GPU.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if gpus and count != gpus:
        raise StarglotError(
            f"training asks for {gpus} GPU(s) but runs in {count} process(es)",
            where=where,
            allowed="one process a GPU",
            todo=f"start it with torchrun --nproc-per-node {gpus}, as the workflow does",
        )
    if count == 1:
        return ALONE
    if use_device(gpus).type == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    if not dist.is_initialized():
        dist.init_process_group("nccl" if gpus else "gloo")
        atexit.register(dist.destroy_process_group)
    return Processes(count, dist.get_rank())
