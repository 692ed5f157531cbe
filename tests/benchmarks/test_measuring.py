"""What the speed benchmarks share: findings against goals, sides in turn, and the page made of them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from benchmarks.__main__ import BEGIN, END, PAGE, tables
from benchmarks.against_yolo_clip import EMBEDDED_FLOPS
from benchmarks.measuring import RESULTS, Finding, flops_of, peak_memory, report
from benchmarks.pages import between
from grounding.methods.proposals import EMBEDDED_FILE
from grounding.runtime.errors import InputError
from tests.scripts import ROOT


def test_findings_replace_those_of_their_name_and_leave_others(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    path = tmp_path / "results.json"
    report([Finding("one.a", 1.0, 2.0, True, "slow"), Finding("two", 5.0, None, True, "")], command="c", path=path)
    report([Finding("one.a", 3.0, 2.0, True, "fast")], command="c", path=path)
    found = json.loads(path.read_text())
    assert list(found) == ["one.a", "two"]
    assert found["one.a"]["ratio"] == 3.0 and found["one.a"]["met"] is True and found["one.a"]["detail"] == "fast"
    assert found["two"]["met"] is None and Finding("less", 0.3, 0.3, False, "").met is True
    assert "NOT met" in capsys.readouterr().out


def test_the_page_says_what_the_results_say() -> None:
    page = (ROOT / PAGE).read_text(encoding="utf-8")
    written = page.partition(BEGIN)[2].partition(END)[0].strip("\n")
    assert written == tables(json.loads(RESULTS.read_text(encoding="utf-8"))).strip("\n")
    assert "| --- | --: |" in written


def test_what_stands_between_the_marks_is_replaced_and_nothing_else(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<begin>\nold\n<end>\nafter\n")
    assert between(page, "<begin>", "<end>", "new") == "before\n<begin>\nnew\n<end>\nafter\n"
    for begin, end in (("<gone>", "<end>"), ("<begin>", "<gone>")):
        with pytest.raises(InputError, match="lacks the lines"):
            between(page, begin, end, "new")


def test_peak_memory_is_a_processs_own() -> None:
    """And not that of the process that started it, which Linux's `ru_maxrss` carries over."""
    held = np.ones(peak_memory() // 8 + 2**25)
    assert peak_memory() >= held.nbytes
    command = [sys.executable, "-c", "from benchmarks.measuring import peak_memory; print(peak_memory())"]
    its_own = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert 2**24 < its_own < held.nbytes


def test_flops_are_counted_of_fused_attention_too() -> None:
    assert flops_of(lambda: torch.ones(3, 4) @ torch.ones(4, 5)) == 2 * 3 * 4 * 5
    tokens, width = 7, 8
    layer = torch.nn.TransformerEncoderLayer(width, 2, dim_feedforward=width, batch_first=True, dropout=0.0).eval()
    with torch.no_grad():
        products = 2 * tokens * (6 * width * width + 2 * tokens * width)  # six matrices, and two of tokens by tokens
        assert flops_of(lambda: layer(torch.ones(1, tokens, width))) == products


def test_flops_of_the_embedded_detector() -> None:
    graph = onnx.shape_inference.infer_shapes(onnx.load(EMBEDDED_FILE)).graph
    shapes = {each.name: [side.dim_value for side in each.type.tensor_type.shape.dim]
              for each in (*graph.value_info, *graph.output)}  # fmt: skip
    weights = {each.name: each.dims for each in graph.initializer}
    products = (np.prod(shapes[node.output[0]]) * np.prod(weights[node.input[1]][1:])
                for node in graph.node if node.op_type == "Conv")  # fmt: skip
    assert 2 * sum(products) == EMBEDDED_FLOPS
