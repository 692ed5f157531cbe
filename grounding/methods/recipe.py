"""A loaded method as a value: pickled, it is the call that loaded it, so that another process loads it again.

Weights of hundreds of megabytes are not handed from process to process, and nobody unpickles a network.
"""

from __future__ import annotations

import copy
import copyreg
import os
from collections.abc import Callable
from dataclasses import is_dataclass, replace
from functools import partial, wraps
from typing import Any, TypeVar

import torch

from grounding.clip.backbone import EMBEDDED, RESNETS
from grounding.clip.precision import own_mode, usable_device
from grounding.errors import InputError
from grounding.methods.config import ModelConfig
from grounding.methods.proposals import EMBEDDED_NAME, ProposalsConfig

# Attributes of methods that may have been changed since they were loaded, and are pickled besides the call.
SETTINGS = {"name", "weights", "extraction", "quality_head", "calibration", "raw_scores", "flip", "spatial_rules"}
Loader = TypeVar("Loader", bound=Callable[..., Any])


class Reloadable:
    """Pickled as the call of `grounding.load` that made it, and copied with all that it holds.

    One that was put together by hand is pickled with all that it holds, too.

    Attributes:
        recipe: the call; None where there was none.
    """

    recipe: partial[Any] | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        if self.recipe is None:
            return copyreg.__newobj__, (type(self),), self.__dict__  # type: ignore[attr-defined]
        return self.recipe, (), {name: value for name, value in self.__dict__.items() if name in SETTINGS}

    def __copy__(self) -> Any:
        copied = object.__new__(type(self))
        copied.__dict__ |= self.__dict__
        return copied

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        copied = memo[id(self)] = object.__new__(type(self))
        copied.__dict__ |= copy.deepcopy(self.__dict__, memo)
        return copied


def remembers_its_call(load: Loader) -> Loader:
    """`load` on a usable device, in a mode of its own, and leaving PyTorch's generator as it was; what it returns knows
    the call, with whole paths in it."""

    @wraps(load)
    def loading(name: Any, **options: Any) -> Any:
        if not isinstance(name, str | os.PathLike) and not hasattr(name, "ground"):
            raise InputError(f"the method is {name!r}: give the folder of a run, or a name such as 'refshapes'")
        for setting in ("model", "proposals", "scoring"):
            if not (options.get(setting) is None or is_dataclass(options[setting])):
                raise InputError(f"{setting} is {options[setting]!r}: give a {setting.capitalize()}Config")
        asked = {**options, "device": usable_device(options.get("device", "cpu"))}
        before = torch.get_default_dtype()
        with own_mode(), torch.random.fork_rng(devices=[]):  # new networks draw weights before theirs are read
            try:
                torch.set_default_dtype(torch.float32)
                method = load(name, **asked)
            finally:
                torch.set_default_dtype(before)
        if isinstance(method, Reloadable):
            model, proposals = options.get("model"), options.get("proposals")
            if isinstance(model, ModelConfig):
                options["model"] = replace(model, clip=_whole_path(model.clip))
            if isinstance(proposals, ProposalsConfig):
                options["proposals"] = replace(proposals, detector=_whole_path(proposals.detector))
            method.recipe = partial(loading, _whole_path(name), **options)
        return method

    return loading  # type: ignore[return-value]


def _whole_path(name: str | os.PathLike[str]) -> str:
    """A path that does not depend on the folder that a program works in; the names of methods and CLIPs stay."""
    from grounding.methods.names import SHIPPED, TRAINING_FREE  # which needs the methods, and these this file

    name = os.fspath(name)
    is_word = name in (*TRAINING_FREE, *SHIPPED, *RESNETS, EMBEDDED, EMBEDDED_NAME)
    return os.path.abspath(name) if os.path.exists(name) and not is_word else name
