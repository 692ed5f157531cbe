"""Which packages an installation amounts to, and what of their licences is permitted."""

from __future__ import annotations

from pathlib import Path

import pytest

from grounding import InputError
from reliability.licences import closure, direct, is_permitted


def write_package(folder: Path, name: str, *lines: str) -> None:
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("\n".join(["Metadata-Version: 2.1", f"Name: {name}", "Version: 1.0", *lines]) + "\n")


def test_all_that_packages_bring_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_package(tmp_path, "top", "Requires-Dist: Middle[fast]>=1", 'Requires-Dist: elsewhere; sys_platform == "none"')
    write_package(tmp_path, "middle", "Provides-Extra: fast", "Provides-Extra: slow", "Requires-Dist: always",
                  'Requires-Dist: quick; extra == "fast"', 'Requires-Dist: sluggish; extra == "slow"')  # fmt: skip
    write_package(tmp_path, "always", "Requires-Dist: top")  # a circle
    write_package(tmp_path, "quick")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert closure({"top"}) == {"top", "middle", "always", "quick"}
    assert closure({"middle"}) == {"middle", "always", "top", "quick"}
    with pytest.raises(InputError, match="sluggish is not installed"):
        closure({"middle[slow]"})


def test_a_requirements_file() -> None:
    text = "# head\n-r other.txt\n\na>=1,<2  # why\nb[c]==3 ; python_version >= '3'\n"
    assert direct(text) == {"a>=1,<2", "b[c]==3 ; python_version >= '3'"}


@pytest.mark.parametrize(
    ("licence", "permitted"),
    [
        ("MIT License", True), ("Apache-2.0 OR BSD-2-Clause", True), ("MPL-2.0 AND (Apache-2.0 OR MIT)", True),
        ("GNU General Public License v3 (GPLv3)", False), ("MIT AND GPL-3.0-only", False), ("UNKNOWN", False),
        ("Other/Proprietary License", False), ("AGPL-3.0-only", False),
    ],
)  # fmt: skip
def test_permitted(licence: str, permitted: bool) -> None:
    assert is_permitted(licence) == permitted
