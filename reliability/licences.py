"""The licence of every package that the project installs: `make licences` writes docs/licences.md.

Those of requirements.txt, and all that these bring in, come from the environment that `scripts/setup.sh` makes. What a
package says of itself is read by `pip-licenses`; a licence that is none of the permitted ones ends the command.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from tabulate import tabulate

from benchmarks.pages import between
from grounding.errors import InputError
from grounding.runtime.cli import exit_on_input_error
from grounding.whole_file import write_whole

PAGE = Path("docs/licences.md")
REQUIREMENTS = Path("requirements.txt")
BEGIN, END = "<!-- Written by make licences -->", "<!-- End of the table -->"
# Parts of the names that packages give: permissive ones, MPL (whose conditions end at its own files), and NVIDIA's
# terms for the CUDA libraries, which PyTorch's Linux build brings and which its build for the CPU does without.
PERMITTED = ("MIT", "BSD", "Apache", "ISC", "PSF", "Python Software Foundation", "MPL", "Mozilla", "Zlib", "CC0",
             "CNRI", "NVIDIA")  # fmt: skip
READ_BY_HAND = {"clip-anytorch": "MIT License"}  # its LICENSE file; its metadata are silent


def main(tool: str) -> None:
    """Write the page's table.

    Args:
        tool: the program `pip-licenses`.

    Raises:
        InputError: a package has a licence that is not permitted, or the page lacks its marks.
    """
    names = closure(direct(REQUIREMENTS.read_text(encoding="utf-8")))
    command = [tool, "--python", sys.executable, "--with-system", "--format=json", "--packages", *sorted(names)]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    rows = [(each["Name"], each["Version"], licence_of(each["Name"], each["License"])) for each in found]
    missing = names - {canonicalize_name(name) for name, _, _ in rows}
    if missing:
        raise InputError(f"{tool} says nothing of {', '.join(sorted(missing))}: read their licences by hand")
    refused = [f"{name} ({licence})" for name, _, licence in rows if not is_permitted(licence)]
    if refused:
        raise InputError(f"licences that are not permitted: {', '.join(refused)}; read them and remove the package or "
                         f"add to {Path(__file__).name}")  # fmt: skip
    rows.sort(key=lambda row: row[0].lower())
    table = tabulate(rows, ("package", "version", "licence"), "github")
    write_whole(PAGE, between(PAGE, BEGIN, END, table))


def licence_of(package: str, said: str) -> str:
    """What a package says, or what is known where it is vague."""
    if package.startswith(("nvidia-", "cuda-")) and said in ("Other/Proprietary License", "UNKNOWN"):
        return "NVIDIA Proprietary Software"
    return READ_BY_HAND.get(canonicalize_name(package), said)


def direct(text: str) -> set[str]:
    """The packages that a requirements file names, with their extras, for this machine."""
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return {line for line in lines if line and not line.startswith("-")}


def closure(wanted: Iterable[str]) -> set[str]:
    """The installed packages among these requirements and all that they require in turn, by canonical name."""
    known: dict[str, set[str]] = {}  # with the extras that were followed
    waiting = [Requirement(each) for each in wanted]
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        extras = {"", *requirement.extras}
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        new = extras - known.get(name, set())
        if not new:
            continue
        try:
            version(name)
        except PackageNotFoundError:
            raise InputError(f"{name} is not installed: run sh scripts/setup.sh first") from None
        known.setdefault(name, set()).update(new)
        for line in requires(name) or ():
            needed = Requirement(line)
            if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in new):
                needed.marker = None
                waiting.append(needed)
    return set(known)


def is_permitted(licence: str) -> bool:
    """Whether each of the alternatives or parts that a package names is permitted."""
    parts = re.split(r"\s+(?:AND|OR)\s+|;", licence.replace("(", " ").replace(")", " "))
    return all(any(word.lower() in part.lower() for word in PERMITTED) for part in parts if part.strip())


if __name__ == "__main__":
    with exit_on_input_error():
        main(sys.argv[1])
