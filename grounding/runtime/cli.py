"""How the scripts read their settings, and how they end on a user's mistake."""

from __future__ import annotations

import errno
import json
import signal
import sys
import time
from argparse import ArgumentError
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path
from typing import Any, TypeVar

import yaml
from jsonargparse import ArgumentParser

from grounding.errors import InputError, SharedError, visible
from grounding.runtime.distributed import is_main
from grounding.runtime.signals import Stopped
from grounding.yaml_files import read_yaml, refuse_other_fields

Config = TypeVar("Config")

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
    module: bool = False,
) -> Config:
    """Settings from the command line over a configuration file over the dataclass's defaults.

    A configuration file has a section per script ("train", "evaluate", "visualize") and for some of their commands
    ("tune", "gallery"), so that one file describes an experiment from training to pictures.

    Args:
        config_class: dataclass of the script; its docstring is the help.
        script: name of the script without its suffix, for the help.
        arguments: the command line without the program's name.
        positional: field that may also be given first and without its flag; a list field takes several words.
        command: word that the user gave before the arguments, for the help.
        section: of the configuration file, where it is not called like the script.
        own_section: of the configuration file too, where it has one; its settings go over those of `section`.
        module: whether the script is a module of this package, started by `python -m grounding.SCRIPT`.

    Raises:
        InputError: the configuration file is missing, is no YAML, or lacks the section; or an argument is wrong.
    """
    summary = (config_class.__doc__ or "").splitlines()[0]
    section = section or script
    program = f"-m grounding.{script}" if module else f"{script}.py {command}".rstrip()
    usage = f"{program} [{positional.upper()}] [--config FILE] [--option VALUE ...]" if positional else None
    own_help = f"or {own_section!r} " if own_section else ""
    parser = ArgumentParser(prog=program, description=summary, usage=usage, exit_on_error=False, allow_abbrev=False)
    parser.add_argument(
        "--config", action="config", help=f"YAML file; its section {section!r} {own_help}holds any of these"
    )
    parser.add_class_arguments(config_class)
    words = list(arguments)
    _refuse_repeated_lists(words, config_class)
    if positional and words and not words[0].startswith("-"):
        if "list" in str(config_class.__annotations__[positional]):
            leading = list(takewhile(lambda word: not word.startswith("-"), words))
            words = [f"--{positional}", json.dumps(leading), *words[len(leading) :]]
        else:
            words.insert(0, f"--{positional}")
    try:
        parsed = parser.parse_args(_with_section(words, config_class, section, own_section))
    except ArgumentError as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{reason.rstrip('.')}; python {program} --help lists what there is") from error
    del parsed["config"]
    try:
        settings = parser.instantiate(parsed)
    except ValueError as error:  # of a dataclass's own InputError, where null may stand in its place
        cause = error.__cause__ or error.__context__
        raise cause if isinstance(cause, InputError) else error from None
    return config_class(**{name: settings[name] for name in vars(settings)})


@contextmanager
def exit_on_input_error() -> Iterator[None]:
    """Turns what the user can mend into ``error: ...`` on stderr and exit code 2, a signal into 128 and its number.

    That is an `InputError` raised inside the block, and what the system says of a file or folder that cannot be used.
    Of several processes of one launch the first one speaks: `torchrun` ends the others as soon as it has failed. What
    stops another one alone, that one says itself, a little later; a `SharedError` it leaves to the first one.
    """
    try:
        yield
    except InputError as error:
        message = "" if isinstance(error, SharedError) else str(error)
    except OSError as error:
        if error.filename is None and error.errno not in OF_THE_DISK:
            raise
        place = error.filename or "a file that was being written"
        message = visible(f"{place} cannot be used ({error.strerror}): free or rename it, or name another place")
    except Stopped as stopped:
        if is_main():
            print(f"\n{stopped}", file=sys.stderr)
        raise SystemExit(128 + stopped.signal_number) from None
    except KeyboardInterrupt:
        if is_main():
            print("\nstopped; what is finished is kept", file=sys.stderr)
        raise SystemExit(128 + signal.SIGINT) from None
    else:
        return
    if not is_main():
        time.sleep(SECONDS_FOR_THE_FIRST)
    if message:
        before = "" if is_main() else "\n"  # the line may hold the first one's progress
        print(f"{before}error: {message}", file=sys.stderr)
    raise SystemExit(2)


def _refuse_repeated_lists(words: Sequence[str], config_class: type) -> None:
    """Of an option that is given twice the later one counts, and of a list nobody expects that."""
    for name, kind in config_class.__annotations__.items():
        times = sum(word.partition("=")[0] == f"--{name}" for word in words)
        if times > 1 and "list" in str(kind):
            raise InputError(f'--{name} is given {times} times: give it once, --{name} \'["FIRST", "SECOND"]\'')


def _with_section(words: list[str], config_class: type, section: str, own_section: str) -> list[str]:
    """The command line with the file after --config replaced by its sections' content, which jsonargparse takes too.

    It comes first, wherever it was given: jsonargparse lets the later word win.
    """
    for index, word in enumerate(words):
        if word == "--config" and index + 1 < len(words):
            read = _read_sections(Path(words[index + 1]), config_class, section, own_section)
            return [*read, *words[:index], *words[index + 2 :]]
        if word.startswith("--config="):
            read = _read_sections(Path(word[9:]), config_class, section, own_section)
            return [*read, *words[:index], *words[index + 1 :]]
    return words


def _read_sections(path: Path, config_class: type, section: str, own_section: str) -> Iterator[str]:
    try:
        content: Any = read_yaml(path)
    except OSError as error:
        raise InputError(f"the configuration file {path} cannot be read: give an existing YAML file") from error
    except ValueError as error:
        raise InputError(f"{path} is no YAML file ({error}): compare it with configs/demo.yaml") from error
    names = [section]
    if own_section and isinstance(content, dict) and own_section in content:
        names.append(own_section)
    for name in names:
        if not isinstance(content, dict) or not isinstance(content.get(name), dict):
            raise InputError(f"{path} has no section {name!r}: compare it with configs/demo.yaml")
        try:
            refuse_other_fields(content[name], config_class)
        except ValueError as error:
            raise InputError(f"{path}, section {name!r}: {error}; compare it with configs/demo.yaml") from error
        yield from ("--config", yaml.safe_dump(content[name]))
