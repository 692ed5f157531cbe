"""What a command line need not say, since a run or the section `train` says it: the run, its data, the place."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from grounding.runtime.config_io import read_yaml

RUN_CONFIG = "config.yaml"  # in a run folder
RUNS = ("run", "method", "runs", "methods")  # fields that name runs; the last two are lists
COMPARISON = "comparison"  # a field that names a comparison's folder
OTHER_DATA = ("data", "image", "pairs")  # where a command line names one of these, the run's data are not meant
SETS, COMPARE = "evaluate.py sets", "evaluate.py compare"  # which do not write pictures


def completed(
    config_class: type, section: Mapping[str, Any], train: Mapping[str, Any], words: Sequence[str], program: str
) -> tuple[dict[str, Any], list[str]]:
    """A section of a configuration with what it leaves out, for a command that is about runs; others as they are.

    - The run is the one that the command line names, by `--output` of a folder that holds a run too; else the
      section's, else where the section `train` puts it. Paths of the section that begin like that of `train` follow.
    - `data` and `split_by` are the run's own where nobody says otherwise, and those of `train` where there is no run.
    - `output` is a folder in the run's.

    Args:
        config_class: dataclass of the command.
        section: of the configuration; empty where there is none.
        train: the configuration's section of that name; likewise.
        words: the command line.
        program: script and command, as the help names them.

    Returns:
        The section to be used, and the words without an `--output` that names the run.
    """
    known = {field.name: field for field in fields(config_class)}
    runs = [name for name in RUNS if name in known and COMPARISON not in known]  # its method is a row
    if not runs and COMPARISON not in known:
        return dict(section), list(words)
    given = _given(words, (*runs, *OTHER_DATA, "output", "split"))
    place, words = str(train.get("output", "")), list(words)
    if place and _config_of(given.get("output")):
        at = next(index for index, word in enumerate(words) if word.partition("=")[0] == "--output")
        del words[at : at + (1 if "=" in words[at] else 2)]
        section, place = _moved(section, place, given["output"]), given["output"]
    filled = {name: value for name, value in section.items() if name != "data" or value != train.get("data")}
    if place:
        filled = {name: [place] if name in RUNS[2:] else place for name in runs} | filled
    named = [each for name in runs for each in _listed(given.get(name, filled.get(name)))]
    run = next((name for name in named if _config_of(name)), None)
    trained = _config_of(run) or train
    if {"data", "split"} <= known.keys() and not any(given.get(name, filled.get(name)) for name in OTHER_DATA):
        of_training = known["split"].default == "train"
        data = trained.get("data") if of_training else trained.get("validation_data") or trained.get("data")
        is_needed = known["data"].default is MISSING or "data" in section
        if data is not None and (is_needed or Path(data).is_dir()):
            filled["data"] = str(data)
            is_free = known["split_by"].default == "umd" and section.get("split_by") in (None, train.get("split_by"))
            if is_free and trained.get("split_by"):
                filled["split_by"] = trained["split_by"]
    if run is not None and {"output", "split"} <= known.keys() and known["output"].default is MISSING:
        split = given.get("split") or filled.get("split") or known["split"].default
        filled.setdefault("output", str(Path(run) / {SETS: "sets", COMPARE: str(split)}.get(program, "pictures")))
    return filled, words


def _given(words: Sequence[str], names: Sequence[str]) -> dict[str, Any]:
    """What a command line says of some fields; a list where it says one."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    for name in names:
        parser.add_argument(f"--{name}")
    found = {name: value for name, value in vars(parser.parse_known_args(words)[0]).items() if value is not None}
    for name, value in found.items():
        if value.startswith("["):
            with suppress(ValueError):
                found[name] = json.loads(value)
    return found


def _config_of(run: Any) -> dict[str, Any]:
    """The configuration of a run folder; empty where it is none, or damaged."""
    if not isinstance(run, str) or not (Path(run) / RUN_CONFIG).is_file():
        return {}
    try:
        content = read_yaml(Path(run) / RUN_CONFIG)
    except (OSError, ValueError):  # which loading it says better
        return {}
    return content if isinstance(content, dict) else {}


def _moved(value: Any, old: str, new: str) -> Any:
    """Settings with every path that is `old`, or in it, in `new`."""
    if isinstance(value, Mapping):
        return {name: _moved(each, old, new) for name, each in value.items()}
    if isinstance(value, list):
        return [_moved(each, old, new) for each in value]
    if isinstance(value, str) and (value == old or value.startswith(f"{old}/")):
        return new + value[len(old) :]
    return value


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]
