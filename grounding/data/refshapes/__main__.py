"""`python -m grounding.data.refshapes --root DIR`: writes the benchmark in RefCOCOg's own layout."""

from __future__ import annotations

import sys

from jsonargparse import auto_cli

from grounding.data.refshapes.writer import write_refshapes
from grounding.runtime.cli import exit_on_input_error

if __name__ == "__main__":
    with exit_on_input_error():
        prog = "python -m grounding.data.refshapes"
        print(f"RefShapes is in {auto_cli(write_refshapes, args=sys.argv[1:], as_positional=False, prog=prog)}")
