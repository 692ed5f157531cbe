"""`python -m grounding.deployment.export`: a trained run as ONNX files; docs/deployment.md says how to use them."""

from __future__ import annotations

import sys
from pathlib import Path

from jsonargparse import auto_cli

from grounding.deployment.export.folder import export_run
from grounding.runtime.cli import exit_on_input_error


def main(run: str, output: Path) -> None:
    """Export a trained run to ONNX, and say what the files leave out.

    Args:
        run: the run's folder, or "refshapes" for the decoder that comes with this package.
        output: folder to make.
    """
    settings = export_run(run, output)
    for path in sorted(output.iterdir()):
        print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")
    for sentence in settings["left_out"]:
        print(f"Left out: {sentence}.")


if __name__ == "__main__":
    with exit_on_input_error():
        auto_cli(main, args=sys.argv[1:], as_positional=False)
