"""Bulk grounding by many processes of a Ray cluster: each takes a shard of requests and writes its file of answers.

A shard whose process is killed goes to another one, and another start leaves out what is there: how many processes
there are, and how often they end, changes no line.
"""

from __future__ import annotations

import json
from typing import Any

import ray
import ray.data
from pyarrow import ArrowException
from ray.exceptions import RayError
from tqdm import tqdm

from grounding.deployment.bulk import BulkConfig, grounder_of, record_of
from grounding.deployment.bulk_shards import PART, find_shards, place_of, read_shard
from grounding.errors import InputError
from grounding.methods.stream import ground_many
from grounding.runtime.config_io import refuse_wrong_values
from grounding.runtime.launch import refuse_several
from grounding.runtime.shards import difference

NOTE = "made_from.json"


def ground_shards(config: BulkConfig) -> str:
    """Answer the shards that have no answers yet, or older ones than they are, and return a sentence on what was done.

    Raises:
        InputError: the requests, the method or the cluster cannot be used, the output is of something else, or shards
            cannot be read, which is said once all others are done.
    """
    config = BulkConfig(**vars(config))  # a class of `__main__` would not be the processes'
    refuse_wrong_values(config)
    refuse_several("python -m grounding.deployment.bulk")
    answers = place_of(config.output)
    note = answers._replace(path=f"{answers.path}/{NOTE}")
    try:
        shards = find_shards(place_of(config.requests))
        # What the processes compute on is not this one's to say.
        origin = grounder_of(config)[1] | {"device": config.device, "precision": config.precision}
        if not note.files():
            note.write(json.dumps(origin, indent=2, sort_keys=True))
        elif (noted := note.read().decode(errors="replace")) != json.dumps(origin, indent=2, sort_keys=True):
            raise InputError(f"{answers.path} {difference(NOTE, noted, origin)}: give another output")
        there = {each.path: each.mtime_ns or 0 for each in answers.files()}
        left = [{"shard": shard.path, "answers": file} for name, shard in shards.items()
                if there.get(file := f"{answers.path}/{name}.jsonl", -1) < (shard.mtime_ns or 0)]  # fmt: skip
        results = list(tqdm(_results(config, left), total=len(left), desc="grounding", unit="shard"))
        for path in there:
            if path.endswith(PART):  # of a process that was killed
                answers.system.delete_file(path)
    except (OSError, RayError) as error:
        raise InputError(f"the work has ended early ({error}): see that each machine reaches requests and output and "
                         "has the method and the packages; the same command goes on") from error  # fmt: skip
    if failed := [each["error"] for each in results if each["error"]]:
        raise InputError(f"{len(failed)} of {len(shards)} shards could not be grounded, the first since {failed[0]}; "
                         "the same command tries them again")  # fmt: skip
    images, broken = (sum(each[name] for each in results) for name in ("images", "broken"))
    return f"{images} images, {broken} of them broken, in {len(left)} new files of {len(shards)} in {config.output}"


def _results(config: BulkConfig, shards: list[dict[str, str]]) -> Any:
    """What `ShardGrounder` says of each shard, as they are done."""
    if not shards:
        return []
    ray.data.DataContext.get_current().enable_progress_bars = False
    if not ray.is_initialized():
        try:
            ray.init(config.ray, include_dashboard=False if config.ray == "local" else None)
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise InputError(f"no Ray cluster answers at {config.ray!r} ({error}): start one by ray start --head, or "
                             "give --ray local") from error  # fmt: skip
    there = ray.cluster_resources()
    needed = "GPU" if there.get("GPU") and config.device != "cpu" else "CPU"
    workers = min(len(shards), int(there[needed]), config.workers or len(shards))
    pool = ray.data.ActorPoolStrategy(size=workers, max_tasks_in_flight_per_actor=1)
    # A core to each, and so one thread: the answers of two kinds of machines are then as near as can be.
    grounded = ray.data.from_items(shards, override_num_blocks=len(shards)).map_batches(
        ShardGrounder, batch_size=1, compute=pool, num_cpus=1, num_gpus=int(needed == "GPU"),
        fn_constructor_args=(config,), max_task_retries=9)  # fmt: skip  # a shard that kills whoever takes it ends all
    return grounded.iter_rows()


class ShardGrounder:
    """A process that holds the method; Ray makes it again where it was killed."""

    def __init__(self, config: BulkConfig) -> None:
        self._config = config
        self._grounder, _ = grounder_of(config)

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[Any]]:
        """Answer a shard: from the paths of "shard" and "answers", a list of one each, to the numbers of "images" and
        of "broken" ones and an "error", likewise; the last is "" where the file was written."""
        shard = place_of(self._config.requests)._replace(path=str(batch["shard"][0]))
        if self._grounder.text is not None:
            self._grounder.text.forget()  # what is answered of a shard then depends on no other, to the last bit
        lines, broken = [], 0
        try:
            answers = ground_many(self._grounder, read_shard(shard), readers=self._config.readers, skip_broken=True)
            for answer in answers:
                lines.append(f"{json.dumps(record_of(answer))}\n")
                broken += bool(answer.error)
            place_of(self._config.output)._replace(path=str(batch["answers"][0])).write("".join(lines))
        except (InputError, OSError, ValueError, ArrowException) as error:
            return {"images": [0], "broken": [0], "error": [f"{shard.path}: {error}"]}
        return {"images": [len(lines)], "broken": [broken], "error": [""]}
