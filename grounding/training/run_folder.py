"""What a training run leaves on disk.

config.yaml, environment.jsonl, decoder.safetensors (the best epoch), metrics.jsonl, TensorBoard events, states/ (to
resume from); where it happened, skipped.jsonl. Whole files replace whole files, so that a killed run
leaves the previous one. Of several processes the main one writes; nothing depends on how many there were.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

import yaml
from accelerate import Accelerator
from safetensors.torch import save_file
from torch import nn
from torch.optim.swa_utils import AveragedModel
from torch.utils.tensorboard import SummaryWriter

from grounding.errors import InputError
from grounding.methods.calibration import save_calibration
from grounding.methods.load import CLIP_SHA256
from grounding.methods.names import CONFIG_FILE, DECODER_FILE
from grounding.runtime.config_io import plain, read_yaml
from grounding.runtime.distributed import failing_together, from_main, is_main, on_main
from grounding.runtime.environment import environment
from grounding.runtime.files import atomic_write, locked, write_text_atomic
from grounding.training.checkpoint import Checkpoints, Progress, load_checkpoint

METRICS_FILE = "metrics.jsonl"
SKIPPED_FILE = "skipped.jsonl"
ENVIRONMENT_FILE = "environment.jsonl"
STATES_FOLDER = "states"
# TensorBoard's tags are these prefixes with the names of losses and measures, and the names below.
STEP_TAGS, EPOCH_TAGS = "train/", "validation/"
TOTAL_LOSS, LEARNING_RATE, GRADIENT_NORM = "total_loss", "learning_rate", "gradient_norm"
GRADIENT_TAG = "optimiser/gradient_norm"  # before it is clipped; no loss, beside which it would be drawn
MAY_DIFFER_ON_RESUME = {"resume", "output", "data", "device", "workers", "save_every", "last_states", "most_skipped"}


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
        config: the run's `TrainConfig`, saved as config.yaml.

    Raises:
        InputError: there is a run and it is not to be resumed, it was started with another configuration, or another
            training works in the folder.
    """

    def __init__(self, folder: Path, config: Any) -> None:
        self.folder = folder
        self._checkpoints = Checkpoints(folder / STATES_FOLDER, keep=config.last_states)
        self._open(config)

    @on_main
    def _open(self, config: Any) -> None:
        folder = self.folder
        with ExitStack() as held:
            held.enter_context(locked(folder / "training.lock", "training"))
            refuse_another_run(folder, config, resume=config.resume)
            write_text_atomic(folder / CONFIG_FILE, yaml.safe_dump(plain(config), sort_keys=False))
            self._writer = SummaryWriter(str(folder))
            held.callback(self._writer.close)
            self._held = held.pop_all()

    def __enter__(self) -> RunFolder:
        return self

    @on_main
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._held.close()

    def resume(self, accelerator: Accelerator, mean: AveragedModel, progress: Progress) -> bool:
        """Go on from the newest whole state; what the logs say of later steps and epochs is taken out.

        Args:
            accelerator, mean, progress: as for `Checkpoints.save`.

        Returns:
            Whether there was a state.

        Raises:
            InputError: there are states and none is whole, or there is none beside a trained decoder.
        """
        with failing_together():
            path = self._checkpoints.newest(accelerator.print) if is_main() else None
            if is_main() and path is None and (self.folder / DECODER_FILE).is_file():
                raise InputError(f"{self.folder} has a trained decoder and no state to go on from: give a new --output")
        path = from_main(path)
        if path is None:
            return False
        with failing_together():
            load_checkpoint(path, accelerator, mean, progress)
            if is_main():
                _keep_lines(self.folder / METRICS_FILE, "epoch", progress.epoch)
                _keep_lines(self.folder / SKIPPED_FILE, "step", progress.step)
        return True

    @on_main
    def log_start(self, *, seed: int, weights: str) -> None:
        """Where and with what the run starts or goes on, to environment.jsonl; the arguments are `environment`'s."""
        with (self.folder / ENVIRONMENT_FILE).open("a", encoding="utf-8") as file:
            file.write(json.dumps(environment(seed=seed, weights=weights)) + "\n")

    @on_main
    def save_state(self, accelerator: Accelerator, mean: AveragedModel, progress: Progress) -> None:
        """Everything that a resumed run needs; see `Checkpoints.save`."""
        self._checkpoints.save(accelerator, mean, progress)

    @on_main
    def save_decoder(self, decoder: nn.Module, *, clip_sha256: str) -> None:
        """The decoder's weights as the run's result, marked with the file of the CLIP that they fit."""
        weights = {name: value.detach().cpu().contiguous() for name, value in decoder.state_dict().items()}
        save_calibration(self.folder, None)  # one of an earlier epoch's scores
        with atomic_write(self.folder / DECODER_FILE) as unfinished:
            save_file(weights, unfinished, metadata={CLIP_SHA256: clip_sha256})

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
        with (self.folder / SKIPPED_FILE).open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")

    @on_main
    def log_validation(self, progress: Progress, metrics: Mapping[str, float]) -> None:
        """One epoch's measures, to TensorBoard and metrics.jsonl."""
        for name, value in metrics.items():
            self._writer.add_scalar(f"{EPOCH_TAGS}{name}", value, progress.epoch)
        with (self.folder / METRICS_FILE).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"epoch": progress.epoch, "step": progress.step, **metrics}) + "\n")


def _keep_lines(path: Path, name: str, most: int) -> None:
    """Leaves the lines of a log whose `name` is not beyond `most`: the rest comes again, or is half a line."""
    if not path.is_file():
        return
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            if json.loads(line)[name] <= most:
                kept.append(line + "\n")
        except (ValueError, TypeError, KeyError):
            continue
    write_text_atomic(path, "".join(kept))
