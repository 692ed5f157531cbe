from concurrent.futures import ThreadPoolExecutor

import numpy as np

from grounding.memory import LRUCache


def test_the_least_recently_used_goes_first():
    memory = LRUCache(30)
    for key in "abc":
        memory.put(key, key.upper(), 10)
    assert memory.get("a") == "A"
    memory.put("d", "D", 10)
    assert [memory.get(key) for key in "abcd"] == ["A", None, "C", "D"]
    assert memory.used == 30


def test_a_value_takes_the_place_of_its_predecessor():
    memory = LRUCache(30)
    memory.put("a", 1, 20)
    memory.put("a", 2, 25)
    assert memory.get("a") == 2 and memory.used == 25


def test_what_is_too_large_is_not_kept_and_drops_nothing_else():
    memory = LRUCache(30)
    memory.put("a", 1, 20)
    memory.put("b", 2, 31)
    assert memory.get("a") == 1 and memory.get("b") is None
    memory.put("a", 3, 31)
    assert memory.get("a") is None and memory.used == 0


def test_the_budget_holds_whatever_threads_do():
    memory = LRUCache(1000)
    used: list[int] = []

    def work(seed: int) -> None:
        rng = np.random.default_rng(seed)
        for key, size in zip(rng.integers(0, 40, 2000).tolist(), rng.integers(1, 200, 2000).tolist(), strict=True):
            memory.put(key, (key, size), size)
            kept = memory.get(key)
            assert kept is None or kept[0] == key
            used.append(memory.used)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert max(used) <= 1000
    kept = [memory.get(key) for key in range(40)]
    assert memory.used == sum(value[1] for value in kept if value is not None) > 0
