"""States from which a stopped run goes on: each is whole or not there, and a damaged one gives way to the one before.

A state is a folder named by its step and epoch. It holds what `accelerate` saves (trained weights, AdamW's moments, the
schedule, random numbers), the running mean of the weights, how far the run has come, and a list of its files with their
SHA-256, written last. No file of it is read by an unpickler that could run code: the mean and the progress are not
registered with accelerate's `register_for_checkpointing`, which reads pickles with `weights_only=False`.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from accelerate import Accelerator
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from grounding.errors import InputError
from grounding.runtime.files import flush_file, flush_folder, sha256_of

LIST_FILE, MEAN_FILE, PROGRESS_FILE = "files.json", "mean.safetensors", "progress.json"
WEIGHTS_FILE = "model.safetensors"  # as accelerate calls it


@dataclass
class Progress:
    """How far a run has come.

    Attributes:
        epoch: finished epochs.
        step: finished optimiser steps, skipped ones included.
        step_in_epoch: of them in the current epoch.
        skipped: of all steps those without a finite loss and gradient, which changed nothing.
        skipped_in_a_row: of them the last ones.
        epochs_since_best: finished epochs since the best one.
        best_metrics: validation measures of the best epoch.
    """

    epoch: int = 0
    step: int = 0
    step_in_epoch: int = 0
    skipped: int = 0
    skipped_in_a_row: int = 0
    epochs_since_best: int = 0
    best_metrics: dict[str, float] = field(default_factory=dict)

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


class Checkpoints:
    """The last states of one run.

    Args:
        folder: of the states; made with the first one.
        keep: how many stay.
    """

    def __init__(self, folder: Path, *, keep: int) -> None:
        self.folder = folder
        self._keep = keep

    def save(self, accelerator: Accelerator, mean: AveragedModel, progress: Progress) -> None:
        """Everything that a resumed run needs; the oldest of more than `keep` states goes, and all of later steps.

        Args:
            accelerator: as `save_unwrapped` leaves it.
            mean: running mean of the trained weights.
            progress: of the run.

        Raises:
            InputError: the state cannot be written; those before it are as they were.
        """
        path, unfinished = self.folder / f"{progress.step:08d}-{progress.epoch:04d}", self.folder / "unfinished"
        try:
            shutil.rmtree(unfinished, ignore_errors=True)
            accelerator.save_state(str(unfinished))
            save_file({name: value.contiguous() for name, value in mean.state_dict().items()}, unfinished / MEAN_FILE)
            (unfinished / PROGRESS_FILE).write_text(json.dumps(vars(progress)), encoding="utf-8")
            listed = {each.name: sha256_of(each) for each in sorted(unfinished.iterdir())}
            (unfinished / LIST_FILE).write_text(json.dumps(listed, indent=2), encoding="utf-8")
            mode = (unfinished / LIST_FILE).stat().st_mode  # as the umask has it, where safetensors' is not
            for each in unfinished.iterdir():
                each.chmod(mode)
                flush_file(each)
            shutil.rmtree(path, ignore_errors=True)  # of this very step, from before the run fell back to an older one
            unfinished.rename(path)
            flush_folder(self.folder)
        except (OSError, RuntimeError, SafetensorError) as error:  # torch and safetensors have their own
            reason = str(error).splitlines()[0]
            raise InputError(f"{path} cannot be written ({reason}): make room or name another place, then go on with "
                             "--resume true; the states before it are whole") from error  # fmt: skip
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
        found = self._found()
        # Later ones are those that the run fell back from: damaged, and no longer ahead of it on its way.
        kept = [each for each in found if each.name <= path.name][-self._keep :]
        for each in found:
            if each not in kept:
                shutil.rmtree(each, ignore_errors=True)

    def newest(self, tell: Callable[[str], None]) -> Path | None:
        """The newest whole state; None where no state was ever saved.

        Args:
            tell: is told of each damaged state that is newer.

        Raises:
            InputError: there are states, and none is whole.
        """
        found = self._found()
        for path in reversed(found):
            damage = _damage(path)
            if not damage:
                return path
            tell(f"{path} is damaged ({damage}): going on from the state before it")
        if found:
            raise InputError(f"none of the {len(found)} states in {self.folder} is whole: restore one, or remove "
                             f"{self.folder.parent} and train again")  # fmt: skip
        return None

    def _found(self) -> list[Path]:
        return sorted(self.folder.glob("[0-9]*-[0-9]*"))


def load_checkpoint(path: Path, accelerator: Accelerator, mean: AveragedModel, progress: Progress) -> None:
    """Put everything back as it was when the state was saved; the arguments are those of `Checkpoints.save`."""
    accelerator.load_state(str(path))
    mean.load_state_dict(load_file(path / MEAN_FILE))
    vars(progress).update(json.loads((path / PROGRESS_FILE).read_text(encoding="utf-8")))


def save_unwrapped(accelerator: Accelerator) -> None:
    """Lets states hold the weights by the module's own names, whether or not several processes have wrapped it."""

    def saving(models: list[nn.Module], weights: list[dict[str, Tensor]], _: str) -> None:
        weights[:] = [accelerator.unwrap_model(model).state_dict() for model in models]

    def loading(models: list[nn.Module], _: str) -> None:
        models[:] = [accelerator.unwrap_model(model) for model in models]

    accelerator.register_save_state_pre_hook(saving)
    accelerator.register_load_state_pre_hook(loading)


def _damage(path: Path) -> str:
    """What is wrong with a state, in words; "" where it is whole."""
    try:
        listed = json.loads((path / LIST_FILE).read_text(encoding="utf-8"))
        missing = [name for name in (WEIGHTS_FILE, MEAN_FILE, PROGRESS_FILE) if name not in listed]
        if missing:
            return f"{LIST_FILE} lacks {missing[0]}"
        for name, sha256 in listed.items():
            if sha256_of(path / name) != sha256:
                return f"{name} is not what was written"
    except (OSError, ValueError, TypeError, AttributeError) as error:
        return f"{type(error).__name__} while reading it"
    return ""
