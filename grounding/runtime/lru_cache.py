"""What is kept between questions: the least recently used goes first, and the whole stays within a budget."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from threading import Lock
from typing import Any


class LRUCache:
    """Values by key, for any number of threads; one that is larger than the budget in bytes is not kept."""

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self.used = 0  # bytes that the kept values take
        self._values: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._lock = Lock()

    def __reduce__(self) -> tuple[type[LRUCache], tuple[int]]:
        return LRUCache, (self.budget,)  # a copy, in this process or another, begins empty

    def clear(self) -> None:
        """Drop everything."""
        with self._lock:
            self._values.clear()
            self.used = 0

    def get(self, key: Hashable) -> Any | None:
        """The value kept under a key; None where there is none, or none any more."""
        with self._lock:
            if key not in self._values:
                return None
            self._values.move_to_end(key)
            return self._values[key][0]

    def put(self, key: Hashable, value: Any, size: int) -> None:
        """Keep a value of so many bytes, and drop the least recently used ones where there is no room."""
        with self._lock:
            self.used -= self._values.pop(key, (None, 0))[1]
            if size > self.budget:
                return
            while self.used + size > self.budget:
                self.used -= self._values.popitem(last=False)[1][1]
            self._values[key] = value, size
            self.used += size
