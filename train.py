"""Train the decoder, or adapters: `python train.py --config configs/refcocog.yaml --data DIR --output runs/NAME`.

`torchrun --nproc-per-node 2 train.py ...` shares the work of a step between two processes (docs/training.md).
`python train.py extraction --run runs/NAME --data DIR` then chooses how boxes are made from the run's heatmaps, and
`python train.py tune --config configs/refcocog.yaml --output runs/search` searches for better hyper-parameters, and
`python train.py pseudo_boxes --run runs/NAME --data DIR` annotates a data set with what a run without boxes answers.
"""

import sys

from grounding.runtime.cli import exit_on_input_error, parse
from grounding.runtime.distributed import leave
from grounding.runtime.launch import is_main, refuse_several
from grounding.training.config import TrainConfig
from grounding.training.pseudo_boxes import PseudoBoxesConfig, write_pseudo_boxes
from grounding.training.search import TuneConfig, tune
from grounding.training.train import train
from grounding.training.tune_extraction import TuneExtractionConfig, tune_extraction

MORE = """usage: train.py extraction RUN --data DIR [--option VALUE ...]   chooses how boxes are made (--help)
usage: train.py tune --data DIR --output DIR [--option VALUE ...]   searches hyper-parameters (--help)
usage: train.py pseudo_boxes RUN --data DIR [--option VALUE ...]    makes boxes to train with (--help)
"""

if __name__ == "__main__":
    words = sys.argv[1:]
    with exit_on_input_error():
        if words[:1] == ["extraction"]:
            refuse_several("train.py extraction")
            settings = parse(TuneExtractionConfig, "train", words[1:], positional="run", command="extraction",
                             section="extraction")  # fmt: skip
            print(tune_extraction(settings))
        elif words[:1] == ["pseudo_boxes"]:
            refuse_several("train.py pseudo_boxes")
            wanted = parse(PseudoBoxesConfig, "train", words[1:], positional="run", command="pseudo_boxes",
                           section="pseudo_boxes")  # fmt: skip
            print(write_pseudo_boxes(wanted))
        elif words[:1] == ["tune"]:
            refuse_several("train.py tune")
            search = parse(TuneConfig, "train", words[1:], command="tune", own_section="tune")
            print(tune(search))
        else:
            if words in (["--help"], ["-h"]) and is_main():
                print(MORE)
            config = parse(TrainConfig, "train", words)
            best = train(config)
            measured = f"best validation Acc@0.5 {best['acc@0.5']:.3f}; " if best else ""
            if is_main():
                print(f"{measured}the run is in {config.output}")
            leave()
