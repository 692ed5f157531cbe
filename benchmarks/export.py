"""An exported run against PyTorch's: `python -m benchmarks.export`; the goal is the same best box every time.

The decoder that comes with the package is exported and asked by examples/onnx_grounding.py. PyTorch is asked without
what the export leaves out (mirrored images, boxes by "quality"), which export.json names.
"""

from __future__ import annotations

import runpy
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image
from tqdm import tqdm

from benchmarks.measuring import Finding, report, run
from grounding.data.images import read_image
from grounding.data.refcocog import RefCOCOg
from grounding.deployment.export import export_run
from grounding.extraction import ExtractionConfig
from grounding.geometry import box_iou
from grounding.methods.config import ModelConfig
from grounding.methods.dense import DenseGrounder
from grounding.methods.load import load

EXAMPLE = Path(__file__).parents[1] / "examples" / "onnx_grounding.py"
SAME_IOU = 0.99  # or every edge within a pixel


def main(data: Path = Path("data/refshapes"), split: str = "test", examples: int = 200) -> None:
    """Compare answers of ONNX Runtime and of PyTorch.

    Args:
        data: root folder of RefShapes.
        split: split to take examples of.
        examples: how many images are asked for one expression each.
    """
    dataset = RefCOCOg(data, split, group_by="image", subset=examples)
    run = load("refshapes", precision="float32")
    assert isinstance(run, DenseGrounder)
    with TemporaryDirectory() as folder:
        settings = export_run("refshapes", Path(folder) / "exported")
        exported = runpy.run_path(str(EXAMPLE))["OnnxGrounder"](Path(folder) / "exported")
        extraction = ExtractionConfig(relative=settings["relative"], absolute=settings["absolute"])
        model = ModelConfig(extraction=extraction, inference_sizes=tuple(settings["sizes"]))
        torch_side = DenseGrounder(run.encoder, run.decoder, name=run.name, model=model)
        same, differences = [], []
        for index in tqdm(range(len(dataset)), desc="comparing", unit="example"):
            expression = dataset.expressions_of(index)[0]
            image = read_image(expression.image_path)
            [expected] = torch_side.ground(image, [expression.phrase])
            [heatmap] = exported.heatmaps(Image.fromarray(image), [expression.phrase])
            (box, _), *_ = exported.boxes(heatmap)
            same.append(_same(expected.boxes_xyxy[0], np.array(box)))
            differences.append(np.abs(heatmap - expected.heatmap).max())
    detail = f"{len(same)} examples of {data.name}, split {split}; input sizes {settings['sizes']}"
    report(
        [
            Finding("export.best_box", float(np.mean(same)), 1.0, True,
                    f"share whose best box agrees (IoU > {SAME_IOU} or within a pixel); {detail}"),
            Finding("export.heatmap", float(np.max(differences)), None, False,
                    f"largest difference of any pixel of a heatmap in [0, 1]; {detail}"),
        ],
        command="python -m benchmarks.export",
    )  # fmt: skip


def _same(expected: np.ndarray, found: np.ndarray) -> bool:
    return bool(box_iou(expected[None], found[None])[0, 0] > SAME_IOU or np.abs(expected - found).max() <= 1)


if __name__ == "__main__":
    run(main)
