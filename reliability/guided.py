"""`python -m reliability.guided --reader NAME`: an input that reaches new code is kept, by atheris and libFuzzer.

Random spoiling seldom gets past a reader's first check; what reached new code is spoilt further here. libFuzzer ends
the process it runs in, so that `reliability.fuzz` starts one for each reader.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import atheris

# What is to be observed has to be imported in this block for the first time.
with atheris.instrument_imports(include=["grounding.data", "grounding.runtime.config_io", "pickle", "PIL", "yaml"]):
    from jsonargparse import auto_cli

    from reliability.readers import make_readers

MOST_BYTES = 4096  # of an input
MOST_SECONDS = 60  # after which libFuzzer takes an input to hang
EVERY = 200  # inputs: how often the counts are written, for nobody is told before the process ends


def main(reader: str, runs: int, seed: int, counts: Path, keep_in: Path) -> None:
    """Give one reader so many inputs.

    Args:
        reader: its name.
        runs: how many inputs.
        seed: of libFuzzer's choices; 0 or more.
        counts: JSON file that will say how they ended.
        keep_in: folder for inputs that end wrongly.
    """
    with TemporaryDirectory(prefix="guided-") as folder:
        chosen = make_readers(Path(folder))[reader]
        corpus = Path(folder) / "corpus"
        corpus.mkdir()
        for index, data in enumerate(chosen.seeds):
            (corpus / str(index)).write_bytes(data)
        trial = chosen.trial

        def give(data: bytes) -> None:
            trial.give(data, keep_in=keep_in)
            given = trial.counts.total()
            if given % EVERY == 0 or given >= runs:
                counts.write_text(json.dumps({"counts": trial.counts, "wrong": trial.wrong}))

        keep_in.mkdir(parents=True, exist_ok=True)
        atheris.Setup(["guided", str(corpus), f"-runs={runs}", f"-seed={seed + 1}", f"-max_len={MOST_BYTES}",
                       f"-timeout={MOST_SECONDS}", f"-artifact_prefix={keep_in}/", "-verbosity=0"], give)  # fmt: skip
        atheris.Fuzz()


if __name__ == "__main__":
    auto_cli(main, args=sys.argv[1:], as_positional=False, prog="python -m reliability.guided")
