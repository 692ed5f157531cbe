"""Means over all things of a batch that several processes share; with one process they are left as they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.distributed
from torch import Tensor

from grounding.processes import process_count


def weighed_by_share(
    means: Mapping[str, Tensor], counts: Mapping[str, int | Tensor], names: Sequence[str], device: torch.device
) -> dict[str, Tensor]:
    """This process's means, weighed so that their mean over the processes is the mean over all things.

    `DistributedDataParallel` averages gradients over processes, whatever each of them has averaged over. A mean m over
    n of the N things that W processes hold is therefore multiplied by W n / N.

    Args:
        means: () means by name, some of `names`.
        counts: over how many things each was taken.
        names: of all means that any process may have, in one order for all.
        device: of the means.

    Returns:
        the means that any process has, in the order of `names`; 0 where this one has none.
    """
    if process_count() == 1:
        return {name: means[name] for name in names if name in means}
    own = torch.tensor([[int(counts.get(name, 0)), int(name in means)] for name in names], device=device)
    everyone = own.clone()
    torch.distributed.all_reduce(everyone)
    nothing = torch.zeros((), device=device)
    return {
        name: means.get(name, nothing) * (process_count() * mine / max(1, total))
        for name, (mine, _), (total, holders) in zip(names, own.tolist(), everyone.tolist(), strict=True)
        if holders
    }


def mean_over_processes(values: Mapping[str, Tensor]) -> dict[str, float]:
    """The mean of every value over the processes; all have the same names in the same order."""
    together = torch.stack([value.detach() for value in values.values()])
    if process_count() > 1:
        torch.distributed.all_reduce(together)
        together /= process_count()
    return dict(zip(values, together.tolist(), strict=True))
