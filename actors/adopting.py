"""Which runs can go on with the processes of another one."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from actors.starting import engine_spec
from loop.config import RunConfig
from loop.difference import difference
from loop.errors import Refused
from loop.task import Task


def refuse_other_actors(held: Task, task: Task) -> None:
    """Raises: Refused when a run needs other engines or learner ranks than those that another one has started; the
    sentence names the keys that differ."""
    differ = difference(_made_of(held.config), _made_of(task.config))
    if held.model_digest != task.model_digest:
        differ.append("the model's content")
    if differ:
        raise Refused(
            f"{task.folder.name} cannot go on with the engines and learners that are there: {'; '.join(differ)}"
        )


def _made_of(config: RunConfig) -> dict[str, Any]:
    """What engines and learner ranks are for as long as their processes live."""
    spec = asdict(engine_spec(config))
    model = {name: spec.pop(name) for name in ("path", "revision", "dtype")}
    learner = {name: getattr(config.learner, name) for name in ("ranks", "collective_timeout_s")}
    return {
        "model": model,
        "rollout": {"replicas": config.rollout.replicas, **spec},
        "learner": learner,
        "cluster": {name: value for name, value in asdict(config.cluster).items() if name != "name"},
    }
