"""`python -m grounding`, and `ground` where the package is installed: boxes of phrases in pictures of one's own."""

import sys

from grounding.runtime.cli import exit_on_input_error


def main() -> None:
    """The command line of the process."""
    with exit_on_input_error():
        from grounding.deployment.ground import main as ground  # PyTorch takes seconds, in which Ctrl-C may come

        ground(sys.argv[1:])


if __name__ == "__main__":
    main()
