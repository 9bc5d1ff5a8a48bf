"""A run in several processes of one machine: each takes its share of every step's windows, and of Muon's matrices.

On a CPU this beats threads. A network of this size is many small operations, and PyTorch's threads meet at a barrier after
each: two threads ran at 1.25 times the speed of one, two processes of one thread each at 1.9.

The sums over processes are taken in the same order every time, so a run repeats bit for bit with the same number of them.
"""

import os
import sys
from pathlib import Path

import torch
import torch.distributed as dist


class Peers:
    """The processes of a run, as one of them sees them. Alone, every method gives back what it got."""

    def __init__(self, rank: int = 0, count: int = 1):
        self.rank, self.count = rank, count

    @property
    def leads(self) -> bool:
        """Whether this is the process that writes files and looks at the clock."""
        return self.rank == 0

    def share(self, rows):
        """This process's part of something that can be cut."""
        return rows[self.rank :: self.count]

    def sum(self, *values: float) -> list[float]:
        if self.count == 1:
            return list(values)
        total = torch.tensor(values, dtype=torch.float64)
        dist.all_reduce(total)
        return total.tolist()

    def agree(self, value):
        """What the leading process says."""
        if self.count == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box, src=0)
        return box[0]

    def gather(self, value) -> list:
        """What each process says, in the order of their ranks, to all of them."""
        if self.count == 1:
            return [value]
        boxes = [None] * self.count
        dist.all_gather_object(boxes, value)
        return boxes

    def average_gradients(self, parameters: list[torch.nn.Parameter]):
        if self.count == 1:
            return
        flat = torch.cat([p.grad.flatten() for p in parameters])
        dist.all_reduce(flat)
        flat /= self.count
        for p, part in zip(parameters, flat.split([p.numel() for p in parameters])):
            p.grad.copy_(part.view_as(p))

    @torch.no_grad()
    def exchange(self, parameters: list[torch.nn.Parameter]):
        """Gives every process the parameters that `share` gave to each."""
        if self.count == 1:
            return
        for rank in range(self.count):
            theirs = parameters[rank :: self.count]
            flat = torch.cat([p.flatten() for p in theirs])
            dist.broadcast(flat, src=rank)
            for p, part in zip(theirs, flat.split([p.numel() for p in theirs])):
                p.copy_(part.view_as(p))


def _enter(rank: int, count: int, meeting: Path, function, argument):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=count)
    function(argument, Peers(rank, count))
    dist.barrier()  # A process that leaves first would break the connections that another still reads.
    dist.destroy_process_group()
    # Work and files are done. Without this, one exit in some twenty was seen to end in an abort, for a thread of
    # PyTorch 2.12's that outlives the interpreter.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def run(count: int, folder: Path, function, argument):
    """Calls function(argument, peers) in `count` new processes, and returns when all have ended; one that fails ends all."""
    folder.mkdir(parents=True, exist_ok=True)
    meeting = (folder / f"meeting-{os.getpid()}").resolve()
    try:
        torch.multiprocessing.spawn(_enter, (count, meeting, function, argument), nprocs=count)
    finally:
        meeting.unlink(missing_ok=True)
