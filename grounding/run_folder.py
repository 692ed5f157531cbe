"""What a training run leaves on disk, and how far it has come.

config.yaml, decoder.safetensors (the best epoch), metrics.jsonl, TensorBoard events, last/ (the state to resume from).
Everything is written beside its place and renamed, so that a killed run leaves the previous whole file. Of several
processes the main one writes; a state does not depend on how many there were.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import yaml
from accelerate import Accelerator
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter

from grounding.errors import InputError
from grounding.loading import CLIP_SHA256, CONFIG_FILE, DECODER_FILE
from grounding.plain import plain
from grounding.processes import on_main
from grounding.yaml_files import read_yaml

METRICS_FILE = "metrics.jsonl"
# TensorBoard's tags are these prefixes with the names of losses and measures, and the two names below.
STEP_TAGS, EPOCH_TAGS = "train/", "validation/"
TOTAL_LOSS, LEARNING_RATE = "total_loss", "learning_rate"
# Outside of these: it differs from one time to the next, and what is compared of two runs should not.
WAITING_TAG = "time/waiting_for_data"
MAY_DIFFER_ON_RESUME = {"resume", "output", "data", "device", "workers", "feature_cache", "save_every"}


@dataclass
class Progress:
    """How far a run has come; part of its resumable state.

    Attributes:
        epoch: finished epochs.
        step: finished optimiser steps.
        step_in_epoch: of them in the current epoch.
        epochs_since_best: finished epochs since the best one.
        best_metrics: validation measures of the best epoch.
    """

    epoch: int = 0
    step: int = 0
    step_in_epoch: int = 0
    epochs_since_best: int = 0
    best_metrics: dict[str, float] = field(default_factory=dict)

    def finish_epoch(self, metrics: dict[str, float]) -> bool:
        """Counts an epoch; True where its Acc@0.5 is the best so far, or nothing was measured."""
        better = not metrics or metrics["acc@0.5"] > self.best_metrics.get("acc@0.5", -1.0)
        self.epochs_since_best = 0 if better else self.epochs_since_best + 1
        self.best_metrics = dict(metrics) if better else self.best_metrics
        self.epoch, self.step_in_epoch = self.epoch + 1, 0
        return better

    def state_dict(self) -> dict[str, Any]:
        """For accelerate's checkpoint."""
        return dict(vars(self))

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """From accelerate's checkpoint."""
        vars(self).update(state)


def refuse_another_run(folder: Path, config: Any, *, resume: bool) -> None:
    """Does nothing where `folder` holds no run, or the one that `config` may resume.

    Raises:
        InputError: there is a run and resume is false, or its config.yaml is damaged or says something else.
    """
    path = folder / CONFIG_FILE
    if not path.is_file():
        return
    if not resume:
        raise InputError(f"{folder} holds a run already: continue it with --resume true, or give a new --output")
    try:
        before = read_yaml(path)
    except ValueError:
        before = None
    if not isinstance(before, dict):
        raise InputError(f"{path} is damaged: restore it, or remove {folder} and train again")
    settings = plain(config)
    changed = [name for name in settings if name not in MAY_DIFFER_ON_RESUME and before.get(name) != settings[name]]
    if changed:
        raise InputError(
            f"{path} was started with another {', '.join(changed)}: repeat it, give a new --output, or remove {folder}"
        )


class RunFolder:
    """The files of one run; a context that closes its logs. In other processes than the main one it writes nothing.

    Args:
        folder: of the run; made where it is not there.
        config: the run's dataclass, saved as config.yaml.
        resume: whether a run that is there already goes on.

    Raises:
        InputError: there is a run and resume is false, or it was started with another configuration.
    """

    def __init__(self, folder: Path, config: Any, *, resume: bool) -> None:
        self.folder = folder
        self.state_folder = folder / "last"
        self._previous_state_folder = folder / "last.previous"
        self._open(config, resume=resume)

    @on_main
    def _open(self, config: Any, *, resume: bool) -> None:
        folder = self.folder
        refuse_another_run(folder, config, resume=resume)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / CONFIG_FILE
        unfinished = path.with_suffix(".part")
        unfinished.write_text(yaml.safe_dump(plain(config), sort_keys=False))
        unfinished.replace(path)
        if self._previous_state_folder.is_dir():  # left by a run that was killed while it put a new state in place
            if self.has_state:
                shutil.rmtree(self._previous_state_folder)
            else:
                self._previous_state_folder.rename(self.state_folder)
        self._writer = SummaryWriter(str(folder))
        self._metrics = (folder / METRICS_FILE).open("a")

    def __enter__(self) -> RunFolder:
        return self

    @on_main
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()
        self._metrics.close()

    @property
    def has_state(self) -> bool:
        """True where there is a state to resume from."""
        return self.state_folder.is_dir()

    @on_main
    def save_state(self, accelerator: Accelerator) -> None:
        """Everything that a resumed run needs, in place of the previous state.

        Args:
            accelerator: as `without_wrapper` leaves it.
        """
        unfinished = self.folder / "last.part"
        shutil.rmtree(unfinished, ignore_errors=True)
        accelerator.save_state(str(unfinished))
        if self.state_folder.is_dir():
            self.state_folder.rename(self._previous_state_folder)
        unfinished.rename(self.state_folder)
        shutil.rmtree(self._previous_state_folder, ignore_errors=True)

    @on_main
    def save_decoder(self, decoder: nn.Module, *, clip_sha256: str) -> None:
        """The decoder's weights as the run's result, marked with the file of the CLIP that they fit."""
        path = self.folder / DECODER_FILE
        unfinished = path.with_suffix(".part")
        weights = {name: value.detach().cpu().contiguous() for name, value in decoder.state_dict().items()}
        save_file(weights, unfinished, metadata={CLIP_SHA256: clip_sha256})
        unfinished.replace(path)

    @on_main
    def log_step(self, progress: Progress, values: dict[str, float]) -> None:
        """One step's losses and learning rate, to TensorBoard."""
        for name, value in values.items():
            self._writer.add_scalar(f"{STEP_TAGS}{name}", value, progress.step)

    @on_main
    def log_validation(self, progress: Progress, metrics: dict[str, float]) -> None:
        """One epoch's measures, to TensorBoard and metrics.jsonl."""
        for name, value in metrics.items():
            self._writer.add_scalar(f"{EPOCH_TAGS}{name}", value, progress.epoch)
        self._metrics.write(json.dumps({"epoch": progress.epoch, "step": progress.step, **metrics}) + "\n")
        self._metrics.flush()

    @on_main
    def log_waiting(self, progress: Progress, share: float) -> None:
        """The share of one epoch's time in which the model waited for data, to TensorBoard."""
        self._writer.add_scalar(WAITING_TAG, share, progress.epoch)


def without_wrapper(accelerator: Accelerator) -> None:
    """Lets states hold the weights by the module's own names, whether or not several processes have wrapped it."""

    def saving(models: list[nn.Module], weights: list[dict[str, Tensor]], _: str) -> None:
        weights[:] = [accelerator.unwrap_model(model).state_dict() for model in models]

    def loading(models: list[nn.Module], _: str) -> None:
        models[:] = [accelerator.unwrap_model(model) for model in models]

    accelerator.register_save_state_pre_hook(saving)
    accelerator.register_load_state_pre_hook(loading)
