"""`python -m grounding.export`: a trained run as ONNX files; docs/deployment.md says how to use them."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from jsonargparse import auto_cli

from grounding.cli import exit_on_input_error
from grounding.export.folder import export_run


@dataclass(frozen=True)
class ExportConfig:
    """Export of a trained run to ONNX.

    Attributes:
        run: the run's folder, or "refshapes" for the decoder that comes with this package.
        output: folder to make.
    """

    run: str
    output: Path


def main(config: ExportConfig) -> None:
    """Export a trained run to ONNX, and say what the files leave out."""
    settings = export_run(config.run, config.output)
    for path in sorted(config.output.iterdir()):
        print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")
    for sentence in settings["left_out"]:
        print(f"Left out: {sentence}.")


if __name__ == "__main__":
    with exit_on_input_error():
        main(auto_cli(ExportConfig, args=sys.argv[1:], as_positional=False))
