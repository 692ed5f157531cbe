from contextlib import redirect_stdout
from dataclasses import replace

import numpy as np
import torch
from tabulate import tabulate
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import grounding
from grounding import load
from grounding.data.download import PUBLISHED, download
from grounding.data.refcocog import RefCOCOg
from grounding.data.refshapes.writer import IMAGES, write_refshapes
from grounding.evaluation.config import EvaluateConfig
from grounding.evaluation.evaluate import method_of, predict
from grounding.evaluation.predictions import read_predictions
from grounding.evaluation.significance import interval_by_image, paired_difference
from grounding.evaluation.summary import summarise
from grounding.extraction import ExtractionConfig
from grounding.geometry import box_iou
from grounding.model.decoder import DecoderConfig
from grounding.runtime.cli import parse
from grounding.training.config import TrainConfig
from grounding.training.criterion import LossConfig
from grounding.training.step import warmup_cosine
from grounding.training.train import train
from grounding.visualization.confusion import confusion
from grounding.visualization.drawing import (
    ANNOTATED_COLOUR,
    COLOUR_MAP,
    draw_boxes,
    heatmap_overlay,
    keep_labels_inside,
    show_image,
)
from grounding.visualization.plots import (
    accuracy_against_time,
    accuracy_over_iou,
    breakdowns,
    iou_histogram,
    method_colours,
    tidy,
)
from grounding.visualization.report import report_comparison
from grounding.visualization.selection import choose_worst
from grounding.visualization.table_formats import render
from grounding.visualization.tables import (
    difference_table,
    localisation_table,
    main_table,
    semantic_table,
    subsets_table,
)

assert Path(grounding.__file__).is_relative_to(WORK), "this is another copy of the package: restart the kernel"
DEVICE = "cuda" if torch.cuda.is_available() and not OFFLINE else "cpu"
print(f"PyTorch {torch.__version__}, {torch.get_num_threads()} threads, device {DEVICE}")
