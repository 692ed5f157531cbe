"""Which settings of training a search may change, and between which values.

A setting is named as on the command line ("learning_rate", "model.decoder.width"); "model." may be left out.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import is_dataclass, replace
from typing import Any, TypeVar, get_type_hints

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from grounding.errors import InputError
from grounding.runtime.config_io import from_plain, plain
from grounding.training.config import TrainConfig

Config = TypeVar("Config")

DEFAULT_SPACE: dict[str, Any] = {
    "learning_rate": {"low": 1e-4, "high": 1e-2, "log": True},
    "weight_decay": {"low": 1e-3, "high": 0.2, "log": True},
    "losses.contrast.weight": {"low": 0.0, "high": 0.5},
    "ema_decay": [0.98, 0.99, 0.995, 0.998, 0.999],
    "phrases_per_image": {"low": 1, "high": 8},
    "model.decoder.width": {"low": 64, "high": 160, "step": 32},
    "model.decoder.blocks": {"low": 1, "high": 4},
}
OF_THE_DECODER = ("losses.", "model.decoder.")  # which adapters do not read
# What is learned, on what, and by which luck: trials that differ in these cannot be compared.
FIXED = {"data", "output", "split_by", "split", "validation_split", "validation_data", "subset", "validation_subset",
         "model.decoder.kind", "device", "workers", "save_every", "seed", "resume"}  # fmt: skip


def default_space(config: TrainConfig) -> dict[str, Any]:
    """`DEFAULT_SPACE`, as far as what is trained reads it."""
    if config.model.decoder.kind != "adapters":
        return DEFAULT_SPACE
    return {name: values for name, values in DEFAULT_SPACE.items() if not name.startswith(OF_THE_DECODER)}


def read_space(space: Mapping[str, Any], config: TrainConfig) -> dict[str, BaseDistribution]:
    """A space as written in a configuration file, checked against what training accepts.

    Args:
        space: name -> {"low", "high"} with "log" (true for equal chances per factor) or "step", or a list of choices.
        config: the other settings.

    Returns:
        Full name -> Optuna's distribution, in the order given.

    Raises:
        InputError: a name is no setting that can be searched, or its range or one of its values cannot be used.
    """
    kinds = dict(_settings(TrainConfig))
    found: dict[str, BaseDistribution] = {}
    for given, values in space.items():
        name = given if given in kinds else f"model.{given}"
        if name not in kinds:
            raise InputError(f"space: {given!r} is no setting to search: give any of {', '.join(kinds)}")
        if name in found:
            raise InputError(f"space: {name} is there twice: leave one out")
        try:
            found[name] = _distribution(values, kinds[name])
            for value in _extremes(found[name]):
                _check(with_values(config, {name: value}))
        except (ValueError, TypeError) as error:
            reason = " ".join(str(error).split()).rstrip(".")
            raise InputError(
                f"space: {name} cannot be searched over {values!r} ({reason}): give low < high, and log or step, "
                "or a list of choices"
            ) from error
    return found


def with_values(config: Config, values: Mapping[str, Any]) -> Config:
    """A configuration with other values of some settings, each by its full name."""
    for name, value in values.items():
        config = _with_value(config, name.split("."), value)
    return config


def values_in_space(config: TrainConfig, space: Mapping[str, BaseDistribution]) -> dict[str, Any]:
    """The configuration's own values, of those settings where the space holds them."""
    values = {}
    for name, distribution in space.items():
        value: Any = config
        for part in name.split("."):
            value = getattr(value, part)
        value = plain(value)
        if isinstance(distribution, CategoricalDistribution):
            held = value in distribution.choices
        else:
            held = distribution._contains(value)
        if held:
            values[name] = value
    return values


def _settings(config_class: type[Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(full name, type) of every setting that may be searched."""
    for name, kind in get_type_hints(config_class).items():
        if is_dataclass(kind):
            yield from _settings(kind, f"{prefix}{name}.")  # type: ignore[arg-type]
        elif prefix + name not in FIXED:
            yield prefix + name, kind


def _distribution(values: Any, kind: Any) -> BaseDistribution:
    """Raises ValueError or TypeError."""
    is_whole, is_real = (isinstance(kind, type) and issubclass(kind, of) for of in (int, float))
    is_whole = is_whole and kind is not bool
    if isinstance(values, list | tuple):
        if any(isinstance(value, list | tuple | dict) for value in values):
            raise ValueError("a choice is a single value")
        return CategoricalDistribution([float(value) if is_real else value for value in values])
    if not isinstance(values, Mapping) or not {"low", "high"} <= set(values) <= {"low", "high", "log", "step"}:
        raise ValueError("neither a range nor choices")
    if not is_whole and not is_real:
        raise ValueError("it is no number")
    log, step = values.get("log", False), values.get("step")
    # YAML reads "1e-4", without a point, as text.
    low, high = float(values["low"]), float(values["high"])
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ValueError("low is not below high")
    if not isinstance(log, bool):
        raise ValueError("log is true or false")
    if is_real:
        return FloatDistribution(low, high, log=log, step=None if step is None else float(step))
    whole = [int(value) for value in (low, high, step or 1)]
    if whole != [low, high, step or 1]:
        raise ValueError("it is a whole number")
    return IntDistribution(whole[0], whole[1], log=log, step=whole[2])


def _extremes(distribution: BaseDistribution) -> tuple[Any, ...]:
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    return distribution.low, distribution.high


def _check(config: TrainConfig) -> None:
    """Raises ValueError where training would refuse one of the values."""
    from_plain(plain(config), type(config))


def _with_value(config: Any, path: list[str], value: Any) -> Any:
    first, *rest = path
    return replace(config, **{first: _with_value(getattr(config, first), rest, value) if rest else value})
