from concurrent.futures import ThreadPoolExecutor

import numpy as np

from grounding.runtime.lru_cache import LRUCache


def test_the_least_recently_used_goes_first():
    cache = LRUCache(30)
    for key in "abc":
        cache.put(key, key.upper(), 10)
    assert cache.get("a") == "A"
    cache.put("d", "D", 10)
    assert [cache.get(key) for key in "abcd"] == ["A", None, "C", "D"]
    assert cache.used == 30


def test_a_value_takes_the_place_of_its_predecessor_and_what_is_too_large_is_not_kept():
    cache = LRUCache(30)
    cache.put("a", 1, 20)
    cache.put("a", 2, 25)
    cache.put("b", 3, 31)
    assert cache.get("a") == 2 and cache.get("b") is None and cache.used == 25
    cache.put("a", 3, 31)
    assert cache.get("a") is None and cache.used == 0


def test_the_budget_holds_whatever_threads_do():
    cache = LRUCache(1000)
    used: list[int] = []

    def work(seed: int) -> None:
        rng = np.random.default_rng(seed)
        for key, size in zip(rng.integers(0, 40, 2000).tolist(), rng.integers(1, 200, 2000).tolist(), strict=True):
            cache.put(key, (key, size), size)
            kept = cache.get(key)
            assert kept is None or kept[0] == key
            used.append(cache.used)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert max(used) <= 1000
    kept = [cache.get(key) for key in range(40)]
    assert cache.used == sum(value[1] for value in kept if value is not None) > 0
