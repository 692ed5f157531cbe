"""What docs state as a number is written by commands, with what is needed to doubt it."""

from __future__ import annotations

import json

import pytest

from benchmarks.calibration import ROWS, claims_of, table
from benchmarks.claims import Claim, claims_under, record
from grounding.runtime.errors import InputError


@pytest.mark.parametrize(
    ("value", "goal", "met"),
    [(0.5, None, None), (0.5, (0.5, 0.6), True), (0.49, (0.5, 0.6), False), (0.61, (0.5, 0.6), False),
     (240.0, (None, 240.0), True), (241.0, (None, 240.0), False), (3.0, (2.0, None), True)],
)  # fmt: skip
def test_a_claim_keeps_to_its_goal_or_does_not(value, goal, met):
    assert Claim(value, "make demo", goal=goal).met is met


def test_claims_replace_those_of_the_same_name_and_leave_the_others(tmp_path):
    path = tmp_path / "claims.json"
    record({"demo/seconds": Claim(300, "make demo", n=3, goal=(None, 240)), "sets/n-acc": Claim(0.1, "x")}, path)
    record({"demo/seconds": Claim(200, "make demo", n=3, goal=(None, 240))}, path)
    held = json.loads(path.read_text())
    assert list(held) == ["demo/seconds", "sets/n-acc"]
    assert held["demo/seconds"]["value"] == 200 and held["demo/seconds"]["met"] is True
    assert set(held["demo/seconds"]) == {"value", "interval", "n", "goal", "met", "command", "date", "machine"}
    assert held["demo/seconds"]["date"] and "cores" in held["demo/seconds"]["machine"]
    assert list(claims_under("demo/", path)) == ["seconds"]
    with pytest.raises(InputError, match=r"claims\.json holds no claim that begins with 'ladder/'"):
        claims_under("ladder/", path)


def test_the_calibration_reads_values_and_differences_from_results():
    def report(acc: float, miou: float) -> dict:
        return {"n": 10, "metrics": {"acc@0.5": acc, "miou": miou},
                "intervals": {"acc@0.5": [acc - 0.1, acc + 0.1], "miou": [miou - 0.1, miou + 0.1]}}  # fmt: skip

    behind = {"acc@0.5": {"difference": -0.05, "interval": [-0.07, -0.03], "p_value": 0.01}}  # yolo-clip minus reclip
    results = {
        "methods": {"yolo-clip": report(0.5, 0.4), "reclip": {**report(0.55, 0.4), "behind": behind},
                    "zero-shot": report(0.1, 0.31)},
        "bounds": {"yolo-oracle": report(0.95, 0.8), "annotated-clip": report(0.6, 0.6),
                   "random-proposal": report(0.2, 0.2)},
    }  # fmt: skip
    claims = claims_of(results)
    over = claims["reclip over yolo-clip acc@0.5"]
    assert over.value == pytest.approx(0.05) and over.interval == pytest.approx((0.03, 0.07)) and over.met
    assert [claims[row.claim].met for row in ROWS] == [True, True, True, False, True, True]
    lines = table(claims).splitlines()
    assert "| +0.050 [+0.030, +0.070] | yes |" in lines[4] and "| 0.310 [0.210, 0.410] | no |" in lines[5]
