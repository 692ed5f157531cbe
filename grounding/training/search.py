"""`train.py tune`: a search for the hyper-parameters that train best, which may be killed and run again.

The study is an SQLite file: SQLAlchemy comes with Optuna whichever storage is used, a transaction is there as a whole
or not at all, and other tools for Optuna read it. One process at a time works on a study.
"""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import torch
import yaml
from optuna.distributions import BaseDistribution
from optuna.exceptions import StorageInternalError
from optuna.pruners import MedianPruner
from optuna.samplers import TPESampler
from optuna.storages import RDBStorage
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState
from pydantic import NonNegativeInt, PositiveInt

from grounding.errors import InputError, SettingsError
from grounding.methods.load import make_encoder
from grounding.runtime.config_io import plain, refuse_wrong_values
from grounding.runtime.files import write_text_atomic
from grounding.training.config import TrainConfig
from grounding.training.datasets import training_data
from grounding.training.run_folder import MAY_DIFFER_ON_RESUME, STATES_FOLDER
from grounding.training.search_space import default_space, read_space, values_in_space, with_values
from grounding.training.train import SHOWN, train

STUDY_NAME = "search"
STUDY_FILE, TRIALS_FILE, BEST_FILE = "study.db", "trials.csv", "best.yaml"
NOT_IN_AN_ADDRESS = "?%{}"  # as SQLAlchemy and Optuna read the address of a database, these are no part of a path
CRITERION = "acc@0.5"
MAY_DIFFER = MAY_DIFFER_ON_RESUME | {"trials", "prune_after", "keep_states"}
FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)
SETTINGS, RETRY_OF, MEASURES, BLAMELESS = "settings", "retry_of", "measures", "blameless"  # in the study


@dataclass(frozen=True)
class TuneConfig(TrainConfig):
    """Search the hyper-parameters with the best validation Acc@0.5; training's other settings hold for every trial.

    Attributes:
        output: study folder to make or to go on with; trial 7 is the run in its `trial_0007`.
        trials: to have finished in the end, with those that the study folder holds already and those stopped early.
        space: settings to search: name -> `{low, high}` with `log: true` or a `step`, or a list of choices; none for
            learning_rate, weight_decay, losses.contrast.weight, ema_decay, phrases_per_image, decoder.width and
            decoder.blocks, each about its default.
        prune_after: once so many trials have finished, one that stays behind their median in an epoch is stopped.
        keep_states: keep the state to resume from of finished trials too, a multiple of the decoder's size.
        resume: go on with the study in `output`; false refuses to.
    """

    trials: PositiveInt = 20
    space: dict[str, Any] = field(default_factory=dict)
    prune_after: NonNegativeInt = 5
    keep_states: bool = False
    resume: bool = True


def tune(config: TuneConfig) -> str:
    """Run trials until the study has as many as asked, and return what came out in words.

    The first trial has the configuration's own values, as far as the space holds them. A trial in which an earlier
    process ended counts as failed, and is repeated once, from where it was. One that a file or the disk ended, and not
    its own values, ends the search, and is repeated so by the next one however often.

    Raises:
        InputError: the space, the data, an image or the CLIP cannot be used, a split to learn from is a test split,
            something cannot be written, or the folder holds another study.
    """
    refuse_wrong_values(config)
    start = TrainConfig(**{each.name: getattr(config, each.name) for each in fields(TrainConfig)})
    space = read_space(config.space or default_space(start), start)
    _, validation = training_data(start)
    if validation is None:
        raise InputError(f"{config.data} has no validation split to choose on: give --validation_data")
    make_encoder(config.model, "cpu")  # an unusable CLIP is said before there is a study

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with _study(config) as study:
        if not study.trials:
            study.enqueue_trial(values_in_space(start, space))
        _requeue_killed(study)
        for _ in range(config.trials - len(study.get_trials(deepcopy=False, states=FINISHED))):
            _run_trial(study, space, start, config)
            _write_records(study, start, config.output)
        _write_records(study, start, config.output)
        best, finished = _best(study), len(study.get_trials(deepcopy=False, states=FINISHED))
    if best is None:
        return f"{finished} trials, none of which went to its end: see {config.output / TRIALS_FILE}"
    return (
        f"{finished} trials; best validation Acc@0.5 {best.value:.3f} in {trial_folder(config.output, best.number)}; "
        f"repeat it with --config {config.output / BEST_FILE}"
    )


def trial_folder(study_folder: Path, number: int) -> Path:
    """The run folder of a trial."""
    return study_folder / f"trial_{number:04d}"


def _run_trial(study: Study, space: dict[str, BaseDistribution], start: TrainConfig, config: TuneConfig) -> None:
    number = sum(trial.state != TrialState.WAITING for trial in study.trials)
    # Trial by trial: a sampler that started again from the seed would draw the first trials' values again.
    study.sampler = TPESampler(seed=int(np.random.SeedSequence((config.seed, number)).generate_state(1)[0]))
    trial = study.ask(space)
    folder = trial_folder(config.output, trial.number)
    retry_of = trial.user_attrs.get(RETRY_OF)
    best: dict[str, float] = {}
    if retry_of is not None:
        killed = study.trials[retry_of]
        best.update(killed.user_attrs.get(MEASURES, {}))
        for epoch, value in killed.intermediate_values.items():
            trial.report(value, epoch)
        if trial_folder(config.output, retry_of).is_dir():
            trial_folder(config.output, retry_of).rename(folder)
    if best:
        trial.set_user_attr(MEASURES, best)

    def on_epoch(epoch: int, measures: dict[str, float]) -> None:
        if measures[CRITERION] > best.get(CRITERION, -1.0):
            best.update(measures)
            trial.set_user_attr(MEASURES, best)
        trial.report(measures[CRITERION], epoch)
        # After its last epoch a trial is as good as finished, and may be the best.
        if epoch < trial_config.epochs and trial.should_prune():
            raise optuna.TrialPruned

    shown = ", ".join(f"{name} {_shown(value)}" for name, value in trial.params.items())
    print(f"trial {trial.number}{'' if retry_of is None else f' (again, was {retry_of})'}: {shown}", flush=True)
    try:
        trial_config = with_values(start, {**trial.params, "output": folder, "resume": True})
        best = train(trial_config, on_epoch=on_epoch)
        state, note = TrialState.COMPLETE, "finished"
    except optuna.TrialPruned:
        state, note = TrialState.PRUNED, "stopped early"
    except torch.OutOfMemoryError:
        state, note = TrialState.FAIL, "out of memory"
    except SettingsError as error:
        state, note = TrialState.FAIL, str(error)
    except (InputError, OSError):  # no other values would do better: the trial stays unfinished
        with suppress(StorageInternalError):  # on a full disk; then it is repeated once, as one that was killed
            trial.set_user_attr(BLAMELESS, True)
        raise
    trial.set_user_attr(MEASURES, best)
    study.tell(trial, best[CRITERION] if state == TrialState.COMPLETE else None, state=state)
    if not config.keep_states:
        shutil.rmtree(folder / STATES_FOLDER, ignore_errors=True)
    measured = ", ".join(f"{name} {best[name]:.3f}" for name in SHOWN if name in best)
    leading = _best(study)
    is_best = leading is not None and leading.number == trial.number
    print(f"trial {trial.number} {note}: validation {measured}{' (best so far)' if is_best else ''}", flush=True)


@contextmanager
def _study(config: TuneConfig) -> Iterator[Study]:
    """Raises InputError: there is another study, or one that cannot be read, or the folder's name will not do."""
    path = config.output / STUDY_FILE
    if set(str(path)) & set(NOT_IN_AN_ADDRESS):
        raise InputError(f"output is {config.output}: give a folder without {' '.join(NOT_IN_AN_ADDRESS)} in its path")
    if path.is_file() and not config.resume:
        raise InputError(
            f"{config.output} holds a study already: continue it with --resume true, or give a new --output"
        )
    config.output.mkdir(parents=True, exist_ok=True)
    try:
        storage = RDBStorage(f"sqlite:///{path}")
    except Exception as error:  # SQLAlchemy's or Optuna's: for a user all are one thing, a file that cannot be used
        reason = str(error).splitlines()[0]
        raise InputError(f"{path} cannot be read as a study ({reason}): restore it, or give a new --output") from error
    try:
        pruner = MedianPruner(n_startup_trials=int(config.prune_after))
        study = optuna.create_study(storage=storage, study_name=STUDY_NAME, direction="maximize", pruner=pruner,
                                    load_if_exists=True)  # fmt: skip
        settings = {name: value for name, value in plain(config).items() if name not in MAY_DIFFER}
        before = study.user_attrs.get(SETTINGS, settings)
        changed = [name for name in settings if before.get(name) != settings[name]]
        if changed:
            raise InputError(
                f"{path} was started with another {', '.join(changed)}: repeat it, give a new --output, "
                f"or remove {config.output}"
            )
        study.set_user_attr(SETTINGS, settings)
        yield study
    except StorageInternalError as error:
        reason = str(error.__cause__ or error).splitlines()[0]
        raise InputError(f"{path} cannot be written ({reason}): make room, then go on with the same command") from error
    finally:
        storage.remove_session()
        storage.engine.dispose()


def _requeue_killed(study: Study) -> None:
    """Trials that no process works on any more fail, and wait to be repeated unless they are repetitions to blame."""
    waiting_for = {trial.user_attrs.get(RETRY_OF) for trial in study.trials}
    for trial in study.get_trials(states=(TrialState.RUNNING,)):
        # In this order, so that being killed between the two loses nothing.
        may_repeat = RETRY_OF not in trial.user_attrs or BLAMELESS in trial.user_attrs
        if may_repeat and trial.number not in waiting_for:
            study.enqueue_trial(trial.params, user_attrs={RETRY_OF: trial.number})
        study.tell(trial.number, state=TrialState.FAIL)


def _best(study: Study) -> FrozenTrial | None:
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return max(complete, key=lambda trial: trial.value or 0.0, default=None)


def _write_records(study: Study, start: TrainConfig, folder: Path) -> None:
    """trials.csv, and best.yaml where a trial is complete."""
    trials = [trial for trial in study.get_trials(deepcopy=False) if trial.state != TrialState.WAITING]
    names = list(dict.fromkeys(name for trial in trials for name in trial.params))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["trial", "state", RETRY_OF, "seconds", "epochs", *names, *SHOWN])
    for trial in trials:
        seconds = "" if trial.duration is None else f"{trial.duration.total_seconds():.1f}"
        measures = trial.user_attrs.get(MEASURES, {})
        writer.writerow([trial.number, trial.state.name.lower(), trial.user_attrs.get(RETRY_OF, ""), seconds,
                         len(trial.intermediate_values), *(trial.params.get(name, "") for name in names),
                         *(measures.get(name, "") for name in SHOWN)])  # fmt: skip
    write_text_atomic(folder / TRIALS_FILE, text.getvalue())
    best = _best(study)
    if best is not None:
        config = with_values(start, {**best.params, "output": folder / "best", "resume": False})
        write_text_atomic(folder / BEST_FILE, yaml.safe_dump({"train": plain(config)}, sort_keys=False))


def _shown(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
