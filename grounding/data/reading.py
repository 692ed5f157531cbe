"""Batches of a data set, read by other processes; what a user can mend arrives as the sentence that was raised."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from torch.utils.data import DataLoader, Dataset, default_collate

from grounding.errors import InputError
from grounding.interruption import leave_signals_to_the_parent


class ReadingLoader(DataLoader[Any]):
    """A `DataLoader` that raises an item's `InputError` as it was, also from a worker.

    torch's own makes the traceback that the worker saw part of the message, which is then no sentence any more.

    Args:
        dataset: with `__getitem__`, and `__len__` where no sampler is given.
        collate_fn: makes a batch of a list of items; None stacks them as torch does.
        options: of `DataLoader`, by name.
    """

    def __init__(
        self, dataset: Dataset[Any], *, collate_fn: Callable[[list[Any]], Any] | None = None, **options: Any
    ) -> None:
        super().__init__(_Caught(dataset), collate_fn=_Passed(collate_fn or default_collate),
                         worker_init_fn=leave_signals_to_the_parent, **options)  # fmt: skip

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        """The batches.

        Raises:
            InputError: an item cannot be read.
        """
        for batch in super().__iter__():
            if isinstance(batch, InputError):
                raise batch
            yield batch


class _Caught(Dataset[Any]):
    """The items of a data set, or the errors in their place."""

    def __init__(self, dataset: Dataset[Any]) -> None:
        self._dataset = dataset

    def __len__(self) -> int:
        return len(self._dataset)  # type: ignore[arg-type]

    def __getitem__(self, index: int) -> Any:
        try:
            return self._dataset[index]
        except InputError as error:
            return error


class _Passed:
    """A batch, or the first error in its place; a class, so that workers can be started without a fork."""

    def __init__(self, collate: Callable[[list[Any]], Any]) -> None:
        self._collate = collate

    def __call__(self, items: list[Any]) -> Any:
        return next((item for item in items if isinstance(item, InputError)), None) or self._collate(items)
