"""A PyTorch module as the content of an ONNX file, the same bytes each time."""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from grounding.errors import InputError

OPSET = 18


def to_onnx(
    model: nn.Module,
    arguments: tuple[Tensor, ...],
    *,
    inputs: Sequence[str],
    outputs: Sequence[str],
    dynamic: tuple[dict[int, Any], ...] | None = None,
) -> bytes:
    """A module traced by PyTorch's exporter, on a copy that is left on the CPU in evaluation mode.

    Args:
        model: the module.
        arguments: an example of what it takes.
        inputs: names of the arguments in the file.
        outputs: names of what it returns.
        dynamic: per argument, the dimensions that may have another size, as `torch.export.Dim`s; none if None.

    Returns:
        The file's content, without the lines of Python that each operation came from.

    Raises:
        InputError: the exporter's packages are not installed.
    """
    try:
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise InputError(
            f"writing ONNX needs the package onnxscript ({error}): pip install -r requirements-export.txt"
        ) from error
    # Layouts other than the usual one would be traced as transpositions.
    model = copy.deepcopy(model).cpu().eval().requires_grad_(False).to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    fast_path = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # fused attention has no counterpart in ONNX
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)  # it warns of its own parts, here and below
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                model,
                arguments,
                input_names=list(inputs),
                output_names=list(outputs),
                dynamic_shapes=dynamic,
                opset_version=OPSET,
                dynamo=True,
                verbose=False,
            )
    finally:
        log.setLevel(level)
        torch.backends.mha.set_fastpath_enabled(fast_path)
    assert program is not None  # it is without `dynamo` only
    content = program.model_proto
    for part in (*content.graph.node, *content.graph.value_info, *content.graph.initializer):
        # A fifth of a small file: the lines of Python, with their folders, that each operation came from.
        del part.metadata_props[:]
    return content.SerializeToString(deterministic=True)
