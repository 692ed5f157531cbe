"""Train the decoder: `python train.py --config configs/refcocog.yaml --data DIR --output runs/NAME`."""

import sys

from grounding.cli import exit_on_input_error, parse
from grounding.training import TrainConfig, train

if __name__ == "__main__":
    with exit_on_input_error():
        config = parse(TrainConfig, "train", sys.argv[1:])
        best = train(config)
        print(f"best validation Acc@0.5 {best['acc@0.5']:.3f}; the run is in {config.output}")
