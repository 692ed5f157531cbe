"""Bulk grounding by many processes of a Ray cluster: each takes a shard of requests and writes its file of answers.

A process answers as one machine does (`bulk.answer_lines`), and a file takes its place when it is whole. A shard whose
process is killed goes to another one, and another start leaves out what is there: how many processes there are, and how
often they end, changes no line.
"""

from __future__ import annotations

import json
import logging
import uuid
from collections import Counter
from dataclasses import fields
from typing import Any

import ray
import ray.data
from pyarrow import ArrowException
from ray.exceptions import RayError
from tqdm import tqdm

from grounding.deployment.bulk import BulkConfig, answer_lines, grounder_of
from grounding.deployment.bulk_shards import Place, find_shards, place_of, read_shard
from grounding.errors import InputError
from grounding.runtime.config_io import refuse_wrong_values
from grounding.runtime.distributed import refuse_several
from grounding.runtime.shards import difference

NOTE = "made_from.json"
RETRIES = 9  # of a shard whose process was killed: one that kills whoever takes it ends the work
PART = ".part"  # how files end that are not whole
OBJECTS = 100 * 2**20  # bytes of a local Ray's store, which passes names and counts only


def ground_shards(config: BulkConfig) -> str:
    """Answer the shards that have no answers yet, or older ones than they are, and return a sentence on what was done.

    Raises:
        InputError: the requests, the method or the cluster cannot be used, the output is of something else, or shards
            cannot be read, which is said once all others are done.
    """
    config = BulkConfig(**{each.name: getattr(config, each.name) for each in fields(BulkConfig)})  # not `__main__`'s
    refuse_wrong_values(config)
    refuse_several("python -m grounding.deployment.bulk")
    answers = place_of(config.output)
    try:
        shards = find_shards(place_of(config.requests), images=bool(config.phrases))
        _, origin = grounder_of(config)
        # What the processes compute on is not this one's to say.
        _note_origin(answers, origin | {"device": config.device, "precision": config.precision})
        there = {each.path: each.mtime_ns or 0 for each in answers.listed()}
    except OSError as error:
        raise InputError(f"requests or output cannot be used ({error}): check the places and your rights") from error
    left = [{"path": path, "answers": file} for name, (path, changed) in shards.items()
            if there.get(file := f"{answers.path}/{name}.jsonl", -1) < changed]  # fmt: skip
    done: Counter[str] = Counter()
    failed = []
    try:
        for result in tqdm(_results(config, left), total=len(left), desc="grounding", unit="shard"):
            done.update(images=result["images"], broken=result["broken"])
            failed += [result["error"]] if result["error"] else []
    except RayError as error:
        raise InputError(f"a process of Ray has failed ({error}); see that each machine has the method, its files and "
                         "the packages: the same command goes on") from error  # fmt: skip
    if failed:
        raise InputError(f"{len(failed)} of {len(shards)} shards could not be grounded, the first since {failed[0]}; "
                         "the same command tries them again")  # fmt: skip
    for path in there:
        if path.endswith(PART):  # of a process that was killed
            answers.system.delete_file(path)
    return (f"{done['images']} images, {done['broken']} of them broken, in {len(left)} new files of {len(shards)} in "
            f"{config.output}")  # fmt: skip


def _results(config: BulkConfig, shards: list[dict[str, str]]) -> Any:
    """What `ShardGrounder` says of each shard, as they are done."""
    if not shards:
        return []
    logging.getLogger("ray.data").setLevel(logging.WARNING)
    ray.data.DataContext.get_current().enable_progress_bars = False
    if not ray.is_initialized():
        local = {"include_dashboard": False, "object_store_memory": OBJECTS}
        try:
            ray.init(**(local if config.ray == "local" else {"address": config.ray}))
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise InputError(f"no Ray cluster answers at {config.ray!r} ({error}): start one by ray start --head, or "
                             "give --ray local") from error  # fmt: skip
    there = ray.cluster_resources()
    needed = "GPU" if there.get("GPU") and config.device != "cpu" else "CPU"
    workers = config.workers or int(there[needed])
    if workers > there[needed]:
        raise InputError(f"workers is {workers}, and the cluster has {there[needed]:.0f} {needed}s: give fewer")
    pool = ray.data.ActorPoolStrategy(size=min(workers, len(shards)), max_tasks_in_flight_per_actor=1)
    # A core to each, and so one thread: the answers of two kinds of machines are then as near as can be.
    grounded = ray.data.from_items(shards, override_num_blocks=len(shards)).map_batches(
        ShardGrounder, batch_size=1, compute=pool, num_cpus=1, num_gpus=int(needed == "GPU"),
        fn_constructor_args=(config,), max_task_retries=RETRIES)  # fmt: skip
    return grounded.iter_rows()


class ShardGrounder:
    """A process that holds the method; Ray makes it again where it was killed.

    Args:
        config: of the command.
    """

    def __init__(self, config: BulkConfig) -> None:
        self._config = config
        self._grounder, _ = grounder_of(config)

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[Any]]:
        """Answer one shard and write the file of its answers.

        Args:
            batch: "path" of the shard and "answers", that of the file, a list of one each.

        Returns:
            "images", "broken" and "error", likewise; the last is "" where the file was written.
        """
        shard = Place(place_of(self._config.requests).system, str(batch["path"][0]))
        answers = Place(place_of(self._config.output).system, str(batch["answers"][0]))
        try:
            requests = read_shard(shard, self._config.phrases)
            lines = [*answer_lines(self._grounder, requests, self._config, skip_broken=True)]
            _write(answers, "".join(f"{line}\n" for line in lines))
        except (InputError, OSError, ValueError, ArrowException) as error:
            return {"images": [0], "broken": [0], "error": [f"{shard.path}: {error}"]}
        broken = sum("error" in json.loads(line) for line in lines)
        return {"images": [len(lines)], "broken": [broken], "error": [""]}


def _note_origin(answers: Place, origin: dict[str, Any]) -> None:
    """Note what answers are made from.

    Raises:
        InputError: the folder has answers that were made from something else.
        OSError: it cannot be reached.
    """
    note, wanted = Place(answers.system, f"{answers.path}/{NOTE}"), json.dumps(origin, indent=2, sort_keys=True)
    if not note.system.get_file_info(note.path).is_file:
        _write(note, wanted)
    elif (noted := note.read().decode()) != wanted:
        raise InputError(f"{answers.path} {difference(NOTE, noted, origin)}: give another output")


def _write(file: Place, text: str) -> None:
    """A file that is there as a whole or not at all, whoever else writes the same one."""
    part = f"{file.path}.{uuid.uuid4().hex}{PART}"
    file.system.create_dir(file.path.rpartition("/")[0], recursive=True)
    with file.system.open_output_stream(part) as stream:
        stream.write(text.encode())
    file.system.move(part, file.path)
