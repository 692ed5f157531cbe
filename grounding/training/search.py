"""`train.py tune`: a search for the hyper-parameters that train best, which may be killed and run again.

The study is an SQLite file, in which a trial's result is there as a whole or not at all, and which other tools for
Optuna read. One process at a time works on a study.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, fields
from functools import reduce
from pathlib import Path
from typing import Any

import optuna
import torch
import yaml
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.exceptions import StorageInternalError
from optuna.pruners import MedianPruner
from optuna.samplers import TPESampler
from optuna.storages import RDBStorage
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState
from pydantic import PositiveInt
from sqlalchemy.exc import SQLAlchemyError

from grounding.methods.load import make_encoder
from grounding.runtime.config_io import from_plain, plain, refuse_wrong_values
from grounding.runtime.errors import InputError, SettingsError
from grounding.runtime.files import write_text_atomic
from grounding.training.config import TrainConfig
from grounding.training.datasets import training_data
from grounding.training.run_folder import MAY_DIFFER_ON_RESUME, STATES_FOLDER, refuse_other_settings
from grounding.training.train import train

STUDY_NAME, STUDY_FILE, SETTINGS = "search", "study.db", "settings"
TRIALS_FILE, BEST_FILE, TRIAL_FOLDER = "trials.csv", "best.yaml", "trial_{:04d}"
CRITERION = "acc@0.5"
FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)

DEFAULT_SPACE: dict[str, Any] = {
    "learning_rate": {"low": 1e-4, "high": 1e-2, "log": True},
    "weight_decay": {"low": 1e-3, "high": 0.2, "log": True},
    "ema_decay": [0.98, 0.99, 0.995, 0.998, 0.999],
    "phrases_per_image": {"low": 1, "high": 8},
    "model.decoder.width": {"low": 64, "high": 160, "step": 32},
    "model.decoder.blocks": {"low": 1, "high": 4},
}
# What is learned, on what, and by which luck: trials that differ in these cannot be compared.
FIXED = {"data", "output", "split_by", "split", "validation_split", "validation_data", "subset", "validation_subset",
         "model.decoder.kind", "device", "workers", "save_every", "seed", "resume"}  # fmt: skip
KINDS: dict[type, Any] = {int: IntDistribution, float: FloatDistribution}  # of settings that have ranges


@dataclass(frozen=True)
class TuneConfig(TrainConfig):
    """Search the hyper-parameters with the best validation Acc@0.5; training's other settings hold for every trial.

    Attributes:
        output: study folder to make or to go on with; trial 7 is the run in its `trial_0007`.
        trials: to have finished in the end, with those that the study folder holds already and those stopped early.
        space: settings to search: full name -> `{low, high}` with `log: true` or a `step`, or a list of choices; none
            for learning_rate, weight_decay, ema_decay, phrases_per_image, model.decoder.width and
            model.decoder.blocks, each about its default.
        resume: go on with the study in `output`; false refuses to.
    """

    trials: PositiveInt = 20
    space: dict[str, Any] = field(default_factory=dict)
    resume: bool = True


def tune(config: TuneConfig) -> str:
    """Run trials until the study has as many as asked, and return what came out in words.

    The first trial has the configuration's own values, as far as the space holds them. A trial in which a kill, a
    file or the disk ended the search stays unfinished, and goes on where it was.
    """
    refuse_wrong_values(config)
    start = TrainConfig(**{each.name: getattr(config, each.name) for each in fields(TrainConfig)})
    space, first = read_space(config.space, start)
    _, validation = training_data(start)
    if validation is None:
        raise InputError(f"{config.data} has no validation split to choose on: give --validation_data")
    make_encoder(config.model, "cpu")  # an unusable CLIP is said before there is a study

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with _study(config) as study:
        if not study.trials:
            study.enqueue_trial(first)
        for _ in range(config.trials - len(study.get_trials(deepcopy=False, states=FINISHED))):
            _run_trial(study, space, start, config.output)
            _write_records(study, start, config.output)
        best, finished = _best(study), len(study.get_trials(deepcopy=False, states=FINISHED))
    if best is None:
        return f"{finished} trials, none of which went to its end: see {config.output / TRIALS_FILE}"
    folder = config.output / TRIAL_FOLDER.format(best.number)
    return (f"{finished} trials; best validation Acc@0.5 {best.value:.3f} in {folder}; repeat it with --config "
            f"{config.output / BEST_FILE}")  # fmt: skip


def read_space(space: Mapping[str, Any], config: TrainConfig) -> tuple[dict[str, BaseDistribution], dict[str, Any]]:
    """A space as `TuneConfig` has it, with ends and choices checked as training checks them: name -> Optuna's
    distribution, and name -> the configuration's own value where the distribution holds it."""
    if not space:
        left_out = ("model.decoder.",) if config.model.decoder.kind == "adapters" else ()
        space = {name: each for name, each in DEFAULT_SPACE.items() if not name.startswith(left_out)}
    found: dict[str, BaseDistribution] = {}
    first: dict[str, Any] = {}
    for name, values in space.items():
        try:
            own = plain(reduce(getattr, name.split("."), config))
        except AttributeError:
            raise InputError(f"space: there is no setting {name!r}: give full names, as --help has them") from None
        if name in FIXED:
            raise InputError(f"space: trials that differ in {name!r} cannot be compared: leave it out")
        try:
            if isinstance(values, list | tuple):
                found[name], ends = CategoricalDistribution(values), list(values)
                is_held = own in values
            else:  # YAML takes 1e-4 for a text
                given = {key: float(value) if isinstance(value, str) else value for key, value in values.items()}
                found[name], ends = KINDS[type(own)](**given), [given["low"], given["high"]]
                is_held = found[name]._contains(own)
            for value in ends:
                with_values(config, {name: value})
            if is_held:
                first[name] = own
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            reason = " ".join(str(error).split()).rstrip(".")
            raise InputError(f"space: {name} cannot be searched over {values!r} ({reason}): give low and high, and "
                             "log or step, or a list of choices") from error  # fmt: skip
    return found, first


def with_values(config: TrainConfig, values: Mapping[str, Any]) -> TrainConfig:
    """A configuration with other values of some settings, by their full names; `ValueError` where one is refused."""
    settings = asdict(config)
    for name, value in values.items():
        *sections, last = name.split(".")
        reduce(dict.__getitem__, sections, settings)[last] = value
    return from_plain(settings, TrainConfig)


def _run_trial(study: Study, space: dict[str, BaseDistribution], start: TrainConfig, output: Path) -> None:
    """The trial in which the search ended, or a new one; what no other values would better it leaves unfinished."""
    unfinished = study.get_trials(states=(TrialState.RUNNING,))
    # Trial by trial: a sampler that started again from the seed would draw the first trials' values again.
    study.sampler = TPESampler(seed=start.seed + len(study.trials))
    trial = Trial(study, unfinished[0]._trial_id) if unfinished else study.ask(space)
    folder = output / TRIAL_FOLDER.format(trial.number)

    def on_epoch(epoch: int, measures: dict[str, float]) -> None:
        trial.report(measures[CRITERION], epoch)
        # After its last epoch a trial is as good as finished, and may be the best.
        if epoch < settings.epochs and trial.should_prune():
            raise optuna.TrialPruned("stopped early")

    print(f"trial {trial.number}{' goes on' if unfinished else ''}: {trial.params}", flush=True)
    value, state = None, TrialState.COMPLETE
    try:
        settings = with_values(start, {**trial.params, "output": folder, "resume": True})
        value = train(settings, on_epoch=on_epoch)[CRITERION]
        note = f"validation Acc@0.5 {value:.3f}"
    except (optuna.TrialPruned, torch.OutOfMemoryError, SettingsError) as error:
        state = TrialState.PRUNED if isinstance(error, optuna.TrialPruned) else TrialState.FAIL
        note = f"{type(error).__name__} {error}"
    study.tell(trial, value, state=state)
    shutil.rmtree(folder / STATES_FOLDER, ignore_errors=True)
    print(f"trial {trial.number}: {note}", flush=True)


@contextmanager
def _study(config: TuneConfig) -> Iterator[Study]:
    """Raises InputError: there is another study, or one that cannot be read, or the folder's name will not do."""
    path = config.output / STUDY_FILE
    if set("?%{}") & set(str(path)):  # which SQLAlchemy and Optuna do not take for a part of the path
        raise InputError(f"output is {config.output}: give a folder without any of ?%{{}} in its path")
    if path.is_file() and not config.resume:
        raise InputError(f"{path} holds a study already: continue it with --resume true, or give a new --output")
    config.output.mkdir(parents=True, exist_ok=True)
    with ExitStack() as held:
        try:
            storage = RDBStorage(f"sqlite:///{path}")
            held.callback(storage.engine.dispose)
            held.callback(storage.remove_session)
            study = optuna.create_study(storage=storage, study_name=STUDY_NAME, direction="maximize",
                                        pruner=MedianPruner(), load_if_exists=True)  # fmt: skip
            before = study.user_attrs.get(SETTINGS, plain(config))
            refuse_other_settings(path, before, config, {*MAY_DIFFER_ON_RESUME, "trials"})
            study.set_user_attr(SETTINGS, plain(config))
            yield study
        except (SQLAlchemyError, StorageInternalError) as error:
            reason = str(error.__cause__ or error).splitlines()[0]
            said = f"the study {path} cannot be used ({reason}): make room or restore it, or give a new --output"
            raise InputError(said) from error


def _best(study: Study) -> FrozenTrial | None:
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return max(complete, key=lambda trial: trial.value or 0.0, default=None)


def _write_records(study: Study, start: TrainConfig, folder: Path) -> None:
    """trials.csv, and best.yaml where a trial is complete."""
    table = study.trials_dataframe(attrs=("number", "state", "value", "params"))
    write_text_atomic(folder / TRIALS_FILE, table.to_csv(index=False))
    if best := _best(study):
        config = with_values(start, {**best.params, "output": folder / "best", "resume": False})
        write_text_atomic(folder / BEST_FILE, yaml.safe_dump({"train": plain(config)}, sort_keys=False))
