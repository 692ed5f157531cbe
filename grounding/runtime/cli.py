"""How the scripts read their settings, and how they end on a user's mistake."""

from __future__ import annotations

import argparse
import errno
import json
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import MISSING, fields
from io import TextIOWrapper
from itertools import takewhile, zip_longest
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from jsonargparse import ArgumentParser

from grounding.runtime.config_io import RUN_CONFIG, check_fields, from_plain, read_yaml
from grounding.runtime.errors import InputError, SharedError, visible
from grounding.runtime.launch import is_main
from grounding.runtime.signals import Stopped

Config = TypeVar("Config")

RUNS = ("run", "methods")  # fields that name runs
REMEDY = "compare it with configs/demo.yaml"
OF_THE_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO}  # which Python raises without a file's name
SECONDS_FOR_THE_FIRST = 10  # processes of one launch do not reach the same mistake at the same moment


def parse(
    config_class: type[Config],
    script: str,
    arguments: Sequence[str],
    *,
    positional: str = "",
    command: str = "",
    section: str = "",
    own_section: str = "",
) -> Config:
    """Settings from the command line over a configuration file over the dataclass's defaults.

    A configuration file has a section per script ("train", "evaluate", "visualize") and for some of their commands
    ("tune", "serve"), so that one file describes an experiment from training to pictures. What a command about a run
    needs and is not told, the run says (`_told_by_the_run`).

    The help names `script`, without its suffix or "-m" and a module's name, and the `command` that the user gave before
    the arguments. The field `positional` may be given first and without its flag, a list as several words.
    `section` is needed where it is not called like the script; settings of an `own_section`, if any, go over its own.
    """
    program = script if script.startswith("-m ") else f"{script}.py {command}".rstrip()
    section = section or script
    hints = get_type_hints(config_class)
    lists = {name for name, kind in hints.items() if any(get_origin(each) is list for each in (kind, *get_args(kind)))}
    words = list(arguments)
    leading = list(takewhile(lambda word: not word.startswith("-"), words)) if positional else []
    if leading and positional in lists:
        words[: len(leading)] = [f"--{positional}", json.dumps(leading)]
    elif leading:
        words = [f"--{positional}", *words]
    for name, kind in hints.items():
        given_for = _values(words, name)
        for text in given_for if name in lists else ():  # brackets and all would be taken for one text
            if text.strip().startswith("[") and text.strip().endswith("]") and not _is_list_of_texts(text):
                raise InputError(f"--{name} {text} is no list of texts in quotes: write --{name} "
                                 """'["FIRST", "SECOND"]'""")  # fmt: skip
        if "" in given_for and Path in (kind, *get_args(kind)):  # which would be the present folder
            raise InputError(f"--{name} is empty: give a path, or leave it out")
    parser = ArgumentParser(
        prog=program,
        description=(config_class.__doc__ or "").splitlines()[0],
        usage=f"{program} [{positional.upper()}] [--config FILE] [--option VALUE ...]" if positional else None,
        exit_on_error=False,
        allow_abbrev=False,
        parser_mode="json",  # YAML would take "# 1.jpg" and "~" for nothing, and "- a" for a list
    )
    holder = f"{section!r} or {own_section!r}" if own_section else repr(section)
    parser.add_argument("--config", help=f"YAML file; its section {holder} holds any of these")
    parser.add_class_arguments(config_class)
    try:
        settings: dict[str, Any] = {}
        for given_file in _values(words, "config")[-1:]:  # wherever it stands
            settings = _of_file(Path(given_file), config_class, section, own_section)
        parser.set_defaults(_told_by_the_run(config_class, settings, words, program) | settings)
        given = parser.parse_args(words).as_dict()
        del given["config"]
        return from_plain(given, config_class)
    except InputError:
        raise
    except (argparse.ArgumentError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{reason.rstrip('.')}; python {program} --help lists what there is") from error


def _told_by_the_run(
    config_class: type, settings: dict[str, Any], words: Sequence[str], program: str
) -> dict[str, Any]:
    """What a run says for a command that names it: its data with their `split_by`, and an output folder in its own.

    A command that is not about the "train" split takes the data that the run is validated on. Where an image or
    other data are given, the run's own are not meant.
    """
    known = {each.name: each.default for each in fields(config_class)}
    given = settings | {name: values[-1] for name in known if (values := _values(words, name))}
    named: Any = next((given[name] for name in RUNS if name in known and name in given), [])
    if isinstance(named, str):
        named = json.loads(named) if _is_list_of_texts(named) else [named]
    run = next((Path(each) for each in map(str, named) if (Path(each) / RUN_CONFIG).is_file()), None)
    trained = None
    with suppress(OSError, ValueError):  # which loading the run says better
        trained = read_yaml(run / RUN_CONFIG) if run and "split" in known else None
    if run is None or not isinstance(trained, dict):
        return {}
    split = str(given.get("split", known["split"]))
    told = {"output": str(run / {"evaluate.py sets": "sets", "evaluate.py compare": split}.get(program, "pictures"))}
    data = (known["split"] != "train" and trained.get("validation_data")) or trained.get("data")
    is_needed = known["data"] is MISSING
    if data and not given.keys() & {"data", "image"} and (is_needed or Path(str(data)).exists()):
        told["data"] = str(data)
        if known["split_by"] == "umd":
            told["split_by"] = str(trained.get("split_by", "umd"))
    return {name: value for name, value in told.items() if name in known}


@contextmanager
def exit_on_input_error() -> Iterator[None]:
    """Turns what the user can mend into ``error: ...`` on stderr and exit code 2, a signal into 128 and its number.

    That is an `InputError` raised inside the block, and what the system says of a file or folder that cannot be used.
    Of several processes of one launch the first one speaks: `torchrun` ends the others as soon as it has failed. What
    stops another one alone, that one says itself, a little later; a `SharedError` it leaves to the first one.

    What a console's encoding lacks is printed with escapes, on stdout as Python does it on stderr.
    """
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # the work is done: a name is printed, if with escapes
    try:
        yield
    except InputError as error:
        message = "" if isinstance(error, SharedError) else str(error)
    except OSError as error:
        if error.filename is None and error.errno not in OF_THE_DISK:
            raise
        place = error.filename or "a file that was being written"
        message = visible(f"{place} cannot be used ({error.strerror}): free or rename it, or name another place")
    except (Stopped, KeyboardInterrupt) as stopped:
        if is_main():
            print(f"\n{str(stopped) or 'stopped; what is finished is kept'}", file=sys.stderr)
        raise SystemExit(128 + getattr(stopped, "signal_number", signal.SIGINT)) from None
    else:
        return
    if not is_main():
        time.sleep(SECONDS_FOR_THE_FIRST)
    if message:
        before = "" if is_main() else "\n"  # the line may hold the first one's progress
        print(f"{before}error: {message}", file=sys.stderr)
    raise SystemExit(2)


def _values(words: Sequence[str], option: str) -> list[str]:
    """What is given for an option, each time that it is; nothing for one at the end, which the parser refuses."""
    pairs = zip_longest(words, words[1:])
    found = [word.partition("=")[2] if "=" in word else following for word, following in pairs
             if word.partition("=")[0] == f"--{option}"]  # fmt: skip
    return [value for value in found if value is not None]


def _is_list_of_texts(text: str) -> bool:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(content, list) and all(isinstance(each, str) for each in content)


def _of_file(path: Path, config_class: type, section: str, own_section: str) -> dict[str, Any]:
    """The settings of a configuration file's section, checked, and over them those of its `own_section`, if any."""
    try:
        content = read_yaml(path)
    except OSError as error:
        raise InputError(f"the configuration file {path} cannot be read: give an existing YAML file") from error
    except ValueError as error:
        raise InputError(f"{path} is no YAML file ({error}): {REMEDY}") from error
    sections = content if isinstance(content, dict) else {}
    settings: dict[str, Any] = {}
    for name in (section, own_section) if own_section in sections else (section,):
        if not isinstance(sections.get(name), dict):
            raise InputError(f"{path} has no section {name!r}: {REMEDY}")
        try:
            check_fields(sections[name], config_class)
        except ValueError as error:
            raise InputError(f"{path}, section {name!r}: {error}; {REMEDY}") from error
        settings = _merged(settings, sections[name])
    return settings


def _merged(settings: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Nested settings with others over them."""
    both = {name: _merged(settings[name], over[name]) for name in settings.keys() & over.keys()
            if isinstance(settings[name], dict) and isinstance(over[name], dict)}  # fmt: skip
    return settings | over | both
