"""A photograph and a phrase go in; a heatmap and boxes come out.

Example:
    >>> import grounding
    >>> grounder = grounding.load("runs/demo")
    >>> result = grounder.ground("street.jpg", ["the woman in the red coat"])
    >>> result[0].boxes_xyxy, result[0].scores, result[0].heatmap
    >>> result[0].save("woman.png")
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from grounding.data.open_dataset import open_dataset
    from grounding.data.refcocog import RefCOCOg
    from grounding.methods.config import ModelConfig
    from grounding.methods.grounder import Grounder
    from grounding.methods.load import load
    from grounding.methods.stream import GroundedImage
    from grounding.methods.yolo_clip import grounding_of_boxes
    from grounding.runtime.errors import InputError
    from grounding.types import Example, Expression, Grounding

__all__ = [
    "Example",
    "Expression",
    "GroundedImage",
    "Grounder",
    "Grounding",
    "InputError",
    "ModelConfig",
    "RefCOCOg",
    "grounding_of_boxes",
    "load",
    "open_dataset",
]

_HOME = {
    "Example": "types",
    "Expression": "types",
    "GroundedImage": "methods.stream",
    "Grounder": "methods.grounder",
    "Grounding": "types",
    "InputError": "runtime.errors",
    "ModelConfig": "methods.config",
    "RefCOCOg": "data.refcocog",
    "grounding_of_boxes": "methods.yolo_clip",
    "load": "methods.load",
    "open_dataset": "data.open_dataset",
}


def __getattr__(name: str) -> Any:
    """Imports an exported name when it is first used: drawing scenes or asking for help needs no PyTorch."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
