"""What a training run leaves on disk.

config.yaml, environment.jsonl, decoder.safetensors (the best epoch), metrics.jsonl, TensorBoard events, states/ (to
resume from); where it happened, skipped.jsonl. Whole files replace whole files, so that a killed run
leaves the previous one. Of several processes the main one writes; nothing depends on how many there were.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors.torch import save_file
from torch import nn
from torch.utils.tensorboard import SummaryWriter

from grounding.methods.calibration import save_calibration
from grounding.methods.load import CLIP_SHA256
from grounding.methods.names import DECODER_FILE
from grounding.runtime.config_io import RUN_CONFIG, plain, read_settings
from grounding.runtime.distributed import is_main, on_main
from grounding.runtime.environment import environment
from grounding.runtime.errors import InputError
from grounding.runtime.files import atomic_write, locked, sha256_of, write_text_atomic
from grounding.training.config import TrainConfig

METRICS_FILE = "metrics.jsonl"
SKIPPED_FILE = "skipped.jsonl"
ENVIRONMENT_FILE = "environment.jsonl"
STATES_FOLDER = "states"
# TensorBoard's tags are these prefixes with the names of losses and measures, and the names below.
STEP_TAGS, EPOCH_TAGS = "train/", "validation/"
TOTAL_LOSS, LEARNING_RATE, GRADIENT_NORM = "total_loss", "learning_rate", "gradient_norm"
GRADIENT_TAG = "optimiser/gradient_norm"  # before it is clipped; no loss, beside which it would be drawn
MAY_DIFFER_ON_RESUME = {"resume", "output", "data", "device", "workers", "save_every", "last_states", "most_skipped"}


@dataclass
class Progress:
    """How far a run has come."""

    epoch: int = 0  # finished epochs
    step: int = 0  # finished optimiser steps, skipped ones included
    step_in_epoch: int = 0  # of them in the current epoch
    skipped: int = 0  # of all steps those without a finite loss and gradient, which changed nothing
    skipped_in_a_row: int = 0  # of them the last ones
    epochs_since_best: int = 0  # finished ones
    best_metrics: dict[str, float] = field(default_factory=dict)  # validation measures of the best epoch

    def is_over(self, epochs: int, patience: int) -> bool:
        """Whether all epochs are done, or none of the last `patience` ones was better."""
        return self.epoch >= epochs or self.epochs_since_best >= patience

    def finish_step(self, *, skipped: bool) -> None:
        """Counts a step."""
        self.step, self.step_in_epoch = self.step + 1, self.step_in_epoch + 1
        self.skipped += skipped
        self.skipped_in_a_row = self.skipped_in_a_row + 1 if skipped else 0

    def finish_epoch(self, metrics: dict[str, float]) -> bool:
        """Counts an epoch; True where its Acc@0.5 is the best so far, or nothing was measured."""
        better = not metrics or metrics["acc@0.5"] > self.best_metrics.get("acc@0.5", -1.0)
        self.epochs_since_best = 0 if better else self.epochs_since_best + 1
        self.best_metrics = dict(metrics) if better else self.best_metrics
        self.epoch, self.step_in_epoch = self.epoch + 1, 0
        return better


def refuse_another_run(config: TrainConfig) -> None:
    """Raises `InputError` where the output folder holds a run, unless it is the one that `config` may resume."""
    path = config.output / RUN_CONFIG
    if not path.is_file():
        return
    if not config.resume:
        raise InputError(f"{config.output} holds a run already: continue it with --resume true, or give a new --output")
    before = read_settings(path, dict[str, Any], f"restore it, or remove {config.output} and train again")
    refuse_other_settings(path, before, config, MAY_DIFFER_ON_RESUME)


def refuse_other_settings(path: Path, before: Mapping[str, Any], config: TrainConfig, may_differ: set[str]) -> None:
    """Raises `InputError` where what `path` holds was started with other settings than these, but for some names."""
    changed = [name for name, value in plain(config).items() if name not in may_differ and before.get(name) != value]
    if changed:
        raise InputError(f"{path} was started with another {', '.join(changed)}: repeat it, give a new --output, or "
                         f"remove {config.output}")  # fmt: skip


class RunFolder(ExitStack):
    """The files of one run; a context that closes its logs. In other processes than the main one it writes nothing."""

    def __init__(self, config: TrainConfig) -> None:
        super().__init__()
        self.folder = config.output
        self._states, self._last_states = self.folder / STATES_FOLDER, config.last_states
        if is_main():
            with ExitStack() as held:
                held.enter_context(locked(self.folder / "training.lock", "training"))
                refuse_another_run(config)
                write_text_atomic(self.folder / RUN_CONFIG, yaml.safe_dump(plain(config), sort_keys=False))
                self._writer = SummaryWriter(str(self.folder))
                held.callback(self._writer.close)
                self.push(held.pop_all())

    @on_main
    def save_state(self, state: Mapping[str, Any], progress: Progress) -> None:
        """Everything that a resumed run needs, as one file, named by its step, its epoch and its content's SHA-256.

        The oldest of more than `last_states` goes, and all of later steps. A state has tensors and plain values, for
        which no unpickler has to run code. Where it cannot be written, those before it are as they were.
        """
        buffer = io.BytesIO()
        torch.save({**state, "progress": vars(progress)}, buffer)
        place = f"{progress.step:08d}-{progress.epoch:04d}"
        path = self._states / f"{place}-{sha256(buffer.getbuffer()).hexdigest()}.pt"
        try:
            with atomic_write(path) as unfinished:
                unfinished.write_bytes(buffer.getbuffer())
        except OSError as error:
            raise InputError(f"{path} cannot be written ({error}): make room or name another place, then go on with "
                             "--resume true; the states before it are whole") from error  # fmt: skip
        # Later ones are those that the run fell back from: damaged, and no longer ahead of it on its way.
        earlier = [each for each in self._found() if each.name < place]
        kept = [path, *reversed(earlier)][: self._last_states]
        for each in self._states.glob("*.pt*"):  # halves that a kill has left, too; what else lies there is not ours
            if each not in kept:
                each.unlink()

    def newest_state(self) -> Path | None:
        """The newest whole state; None where no state was ever saved. Each damaged one that is newer is printed."""
        found = self._found()
        for path in reversed(found):
            if path.stem.endswith(sha256_of(path)):
                return path
            print(f"{path} is damaged: going on from the state before it")
        if found:
            raise InputError(f"none of the {len(found)} states in {self._states} is whole: restore one, or remove "
                             f"{self.folder} and train again")  # fmt: skip
        if (self.folder / DECODER_FILE).is_file():
            raise InputError(f"{self.folder} has a trained decoder and no state to go on from: give a new --output")
        return None

    def _found(self) -> list[Path]:
        return sorted(self._states.glob("*.pt"))

    @on_main
    def forget_after(self, progress: Progress) -> None:
        """Takes out of the logs what they say of later steps and epochs, which come again."""
        _keep_lines(self.folder / METRICS_FILE, "epoch", progress.epoch)
        _keep_lines(self.folder / SKIPPED_FILE, "step", progress.step)

    @on_main
    def save_decoder(self, decoder: nn.Module, *, clip_sha256: str) -> None:
        """The decoder's weights as the run's result, marked with the file of the CLIP that they fit."""
        weights = {name: value.detach().cpu().contiguous() for name, value in decoder.state_dict().items()}
        save_calibration(self.folder, None)  # one of an earlier epoch's scores
        with atomic_write(self.folder / DECODER_FILE) as unfinished:
            save_file(weights, unfinished, metadata={CLIP_SHA256: clip_sha256})

    @on_main
    def log_start(self, *, seed: int, weights: str) -> None:
        """Where and with what the run starts or goes on, to environment.jsonl; the arguments are `environment`'s."""
        _append(self.folder / ENVIRONMENT_FILE, environment(seed=seed, weights=weights))

    @on_main
    def log_step(self, progress: Progress, values: Mapping[str, float]) -> None:
        """One step's losses, gradient norm and learning rate, to TensorBoard."""
        for name, value in values.items():
            tag = GRADIENT_TAG if name == GRADIENT_NORM else f"{STEP_TAGS}{name}"
            self._writer.add_scalar(tag, value, progress.step)

    @on_main
    def log_skipped(self, progress: Progress, values: Mapping[str, float], batch: Sequence[Mapping[str, Any]]) -> None:
        """One skipped step: its losses, and the ids and phrases of its images, to skipped.jsonl."""
        record = {"step": progress.step, "epoch": progress.epoch, **values, "batch": list(batch)}
        _append(self.folder / SKIPPED_FILE, record)

    @on_main
    def log_validation(self, progress: Progress, metrics: Mapping[str, float]) -> None:
        """One epoch's measures, to TensorBoard and metrics.jsonl."""
        for name, value in metrics.items():
            self._writer.add_scalar(f"{EPOCH_TAGS}{name}", value, progress.epoch)
        _append(self.folder / METRICS_FILE, {"epoch": progress.epoch, "step": progress.step, **metrics})


def _append(path: Path, record: Mapping[str, Any]) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(record) + "\n")


def _keep_lines(path: Path, name: str, most: int) -> None:
    """Leaves the lines of a log whose `name` is not beyond `most`: the rest comes again, or is half a line."""
    if not path.is_file():
        return
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines():
        with suppress(ValueError, TypeError, KeyError):
            if json.loads(line)[name] <= most:
                kept.append(line + "\n")
    write_text_atomic(path, "".join(kept))
