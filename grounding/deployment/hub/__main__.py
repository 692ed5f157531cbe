"""`python -m grounding.deployment.hub push`: shares a run on a model hub."""

from __future__ import annotations

import sys
from pathlib import Path

from jsonargparse import auto_cli

from grounding.deployment.hub.sharing import push
from grounding.methods.hub_download import PREFIX
from grounding.runtime.cli import exit_on_input_error


def push_command(run: str, repo: str, private: bool = False, results: Path | None = None, licence: str = "mit") -> None:
    """Upload a run and a model card; `hf auth login` comes first.

    Args:
        run: the run's folder, or "refshapes" for the decoder that comes with this package.
        repo: user/name on the hub, with or without "hf://"; made where it is not there.
        private: whether others may not see it.
        results: results.json of `evaluate.py compare` that measured this run; without it the card has no numbers.
        licence: of the weights, by the hub's name for it.
    """
    address = push(run, repo, private=private, results=results, licence=licence)
    print(f'{address}\nload it with grounding.load("{PREFIX}{repo.removeprefix(PREFIX)}")')


if __name__ == "__main__":
    with exit_on_input_error():
        auto_cli({"push": push_command}, args=sys.argv[1:], as_positional=False)
