"""`python -m grounding.deployment.bulk --method METHOD --requests FILE --output FILE`."""

import sys

from grounding.deployment.bulk.command import BulkConfig, ground_file
from grounding.runtime.cli import exit_on_input_error, parse

if __name__ == "__main__":
    with exit_on_input_error():
        print(ground_file(parse(BulkConfig, "bulk", sys.argv[1:], module=True)))
