"""How large the project is: `python scripts/count.py`, or `make count`; blank lines and comments count."""

from __future__ import annotations

import subprocess
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    """Print files and lines of .py in every folder and package, the entries of grounding/, and its longest files."""
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    paths = [path for path in map(Path, tracked.split("\0")) if (ROOT / path).is_file()]
    lines = {path: len((ROOT / path).read_text("utf-8").splitlines()) for path in paths if path.suffix == ".py"}
    by_folder: dict[str, list[int]] = defaultdict(list)
    for path, count in lines.items():
        by_folder[path.parts[0] if len(path.parts) > 1 else "*.py"].append(count)
        if path.parts[0] == "grounding":
            by_folder[str(Path(*path.parts[:2])) if len(path.parts) > 2 else "grounding/*.py"].append(count)
    for folder, counts in sorted(by_folder.items()):
        print(f"{folder:<24}{len(counts):>4} files {sum(counts):>7,} lines")
    entries = {path.parts[1] for path in paths if path.parts[0] == "grounding"}
    print(f"entries at the top level of grounding/: {len(entries)}")
    longest = sorted((path for path in lines if path.parts[0] == "grounding"), key=lines.__getitem__)[:-4:-1]
    print(f"longest files in it: {', '.join(f'{path} ({lines[path]})' for path in longest)}")


if __name__ == "__main__":
    main()
