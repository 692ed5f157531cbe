"""The dress rehearsal's data set has RefCOCOg's numbers and is read as it is; a part's memory is its processes'."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
from PIL import Image

from benchmarks.rehearsal import SPLITS, make, timed
from grounding.data.check import check
from grounding.data.refcocog import RefCOCOg


def test_the_data_set_has_the_shares_of_refcocogs_numbers(tmp_path):
    photographs = []
    for number in range(2):
        photographs.append(tmp_path / f"{number}.jpg")
        Image.fromarray(np.full((60 + number, 80, 3), 90, np.uint8)).save(photographs[-1])
    share = 0.002
    make(tmp_path / "data", photographs, share)
    for split, (images, sentences) in SPLITS.items():
        dataset = RefCOCOg(tmp_path / "data", split, group_by="image")
        assert len(dataset) == round(share * images)
        assert len(dataset.expressions) == round(share * sentences)
    assert not list(check(tmp_path / "data"))
    content = json.loads((tmp_path / "data" / "annotations" / "instances.json").read_text())
    everything = sum(images for images, _ in SPLITS.values())
    assert len(content["annotations"]) == pytest.approx(184_000 * len(content["images"]) / everything, rel=0.03)
    size = (tmp_path / "data" / "annotations" / "instances.json").stat().st_size
    assert size / len(content["images"]) == pytest.approx(119e6 / everything, rel=0.1)


def test_peak_memory_is_that_of_all_processes(tmp_path):
    child = "import time; x = bytearray(150_000_000); time.sleep(0.6)"
    code = f"import subprocess, sys; x = bytearray(100_000_000); subprocess.run([sys.executable, '-c', {child!r}])"
    seconds, peak = timed([sys.executable, "-c", code])
    assert seconds > 0.6 and 240e6 < peak < 400e6
