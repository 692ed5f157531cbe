"""Our dense image encoding beside the `clip` package's own trunk: `python -m benchmarks.encoding`, on an idle machine.

One image of 448 pixels, the same threads, both up to the last stage at stride 32, ours with the dense embeddings
besides. Goals: 1.25 times as fast in float32, 2.5 times in bfloat16 where the CPU multiplies it; and of the rate at
which the machine multiplies matrices, measured in the same run, 85 % as it is and 90 % compiled.

Beside it, without a part in the package, the tower as `deployment.export` writes it by ONNX Runtime, in float32 and in
int8: its convolutions quantised statically, with ranges of unlabelled pictures. The goal of int8: 3 times as fast.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace

import torch
from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from torch import Tensor

from benchmarks.measuring import Finding, flops_of, report, take_turns
from benchmarks.rn50 import MODEL_SIZE, number_formats, random_rn50, write_photo
from grounding.clip.backbone import ModifiedResNet
from grounding.clip.dense import DenseCLIP
from grounding.data.images import read_image
from grounding.deployment.networks import FEATURES, ImageTower, to_onnx
from grounding.geometry import Letterbox
from grounding.methods.proposals import import_onnxruntime

COMMAND = "python -m benchmarks.encoding"
STRIDE = 32
MATRIX = 3072  # rows and columns: large enough for the rate to have levelled off
FASTER = {torch.float32: 1.25, torch.bfloat16: 2.5}
OF_PEAK, OF_PEAK_COMPILED = 0.85, 0.9
FASTER_INT8 = 3.0
PICTURES = 4  # for the ranges of int8


@torch.no_grad()
def main() -> None:
    """Measure and report."""
    formats = number_formats()
    theirs = random_rn50().model.visual
    pixels = torch.randn(1, 3, MODEL_SIZE, MODEL_SIZE)
    layered = pixels.contiguous(memory_format=torch.channels_last)
    sides: dict[str, Callable[[], object]] = {"clip": partial(clips_trunk, theirs, pixels)}
    for number_format in formats:
        name = str(number_format).removeprefix("torch.")
        for compiled in (False, True):
            clip = random_rn50(precision=number_format, compiled=compiled)
            dense = DenseCLIP(clip.image_tower, output_stride=STRIDE, compiled=compiled)
            sides[f"{name}, compiled" if compiled else name] = partial(dense, layered)
        matrix = torch.randn(MATRIX, MATRIX).to(number_format)
        sides[f"{name}, matrices"] = partial(torch.mm, matrix, matrix)
    dense = DenseCLIP(random_rn50().image_tower, output_stride=STRIDE)
    with TemporaryDirectory() as folder:
        sides |= by_onnxruntime(dense, Path(folder))
    seconds = take_turns(sides)
    flops = flops_of(partial(dense, layered))

    findings = []
    for number_format in formats:
        name = str(number_format).removeprefix("torch.")
        peak = 2 * MATRIX**3 / seconds[f"{name}, matrices"]
        for side in (name, f"{name}, compiled"):
            detail = f"clip {1e3 * seconds['clip']:.0f} ms, ours {1e3 * seconds[side]:.0f} ms"
            key = side.replace(", ", "_")
            findings.append(
                Finding(f"encoding.{key}", seconds["clip"] / seconds[side], FASTER[number_format], True, detail)
            )
            detail = f"{flops / 1e9:.1f} GFLOP at {flops / seconds[side] / 1e9:.0f} GFLOP/s; matrices {peak / 1e9:.0f}"
            goal = OF_PEAK if side == name else OF_PEAK_COMPILED
            findings.append(Finding(f"encoding.{key}_of_peak", flops / seconds[side] / peak, goal, True, detail))
    for side, least in (("onnxruntime", None), ("onnxruntime_int8", FASTER_INT8)):
        detail = f"float32 in PyTorch {1e3 * seconds['float32']:.0f} ms, this {1e3 * seconds[side]:.0f} ms"
        findings.append(Finding(f"encoding.{side}", seconds["float32"] / seconds[side], least, True, detail))
    report(findings, command=COMMAND)


def clips_trunk(visual: ModifiedResNet, pixels: Tensor) -> Tensor:
    """The `clip` package's image tower as it is, up to its attention pool."""
    x = visual.relu1(visual.bn1(visual.conv1(pixels)))
    x = visual.relu2(visual.bn2(visual.conv2(x)))
    x = visual.avgpool(visual.relu3(visual.bn3(visual.conv3(x))))
    return visual.layer4(visual.layer3(visual.layer2(visual.layer1(x))))


def by_onnxruntime(dense: DenseCLIP, folder: Path) -> dict[str, Callable[[], object]]:
    """The exported tower in float32 and in int8, with as many threads as PyTorch has; files are written to a folder."""
    pictures = [read_image(write_photo(folder / "photo.jpg", seed=seed)) for seed in range(PICTURES)]
    squares = [Letterbox.fit((640, 480), MODEL_SIZE).apply(each)[None] for each in pictures]
    files = {name: folder / f"{name}.onnx" for name in ("onnxruntime", "prepared", "onnxruntime_int8")}
    files["onnxruntime"].write_bytes(to_onnx(ImageTower(dense), (torch.from_numpy(squares[0]),), outputs=FEATURES))
    quant_pre_process(files["onnxruntime"], files["prepared"], skip_symbolic_shape=True)
    # Seven bits of each weight: without VNNI, sums of two products of eight bits overflow.
    reader = SimpleNamespace(get_next=partial(next, iter([{"squares": each} for each in squares]), None))
    quantize_static(files.pop("prepared"), files["onnxruntime_int8"], reader, quant_format=QuantFormat.QDQ,
                    per_channel=True, activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8, reduce_range=True,
                    op_types_to_quantize=["Conv"])  # fmt: skip
    onnxruntime = import_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # it would take time from other sides
    return {
        name: partial(onnxruntime.InferenceSession(path, options).run, None, {"squares": squares[0]})
        for name, path in files.items()
    }


if __name__ == "__main__":
    main()
