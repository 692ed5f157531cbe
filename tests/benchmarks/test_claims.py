"""What docs state as a number is written by commands, with what is needed to doubt it."""

from __future__ import annotations

import json

import pytest

from benchmarks.claims import Claim, claims_under, record
from grounding.runtime.errors import InputError


def test_claims_replace_those_of_the_same_name_and_leave_the_others(tmp_path):
    path = tmp_path / "claims.json"
    record({"demo/seconds": Claim(300, "make demo", n=3, goal=(None, 240)), "sets/n-acc": Claim(0.1, "x")}, path)
    record({"demo/seconds": Claim(200, "make demo", n=3, goal=(None, 240))}, path)
    held = json.loads(path.read_text())
    assert list(held) == ["demo/seconds", "sets/n-acc"]
    assert held["demo/seconds"]["value"] == 200 and held["demo/seconds"]["met"] is True
    assert set(held["demo/seconds"]) == {"value", "interval", "n", "goal", "met", "command", "date", "machine"}
    assert held["demo/seconds"]["date"] and "cores" in held["demo/seconds"]["machine"]
    assert not Claim(300, "make demo", goal=(None, 240)).met
    assert list(claims_under("demo/", path)) == ["seconds"]
    with pytest.raises(InputError, match=r"claims\.json holds no claim that begins with 'ladder/'"):
        claims_under("ladder/", path)
