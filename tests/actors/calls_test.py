from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any

import pytest
import ray
from ray import cloudpickle
from ray.exceptions import ActorUnavailableError, RayActorError, RayTaskError

from actors.calls import is_death, raised_while_made, reason_of, wait
from loop.errors import InfrastructureFailed, ProcessDied, RatchetError, Refused, StoreFailed, TimedOut
from loop.prompts.encoding import TemplateRefused

cloudpickle.register_pickle_by_value(sys.modules[__name__])


class Unmakeable:
    def __init__(self, error: Exception) -> None:
        raise error from ValueError("a cause")


class Scripted:
    def die(self) -> None:
        os._exit(1)

    def fail(self, error: Exception) -> None:
        raise error

    def sleep(self, seconds: float) -> float:
        time.sleep(seconds)
        return seconds

    def call_dying(self, other: Any) -> None:
        ray.get(other.die.remote())

    def call_failing(self, other: Any) -> None:
        ray.get(other.fail.remote(ValueError("a bug elsewhere")))


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    folder = tempfile.mkdtemp(prefix="r")
    ray.init(
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="ERROR",
        object_store_memory=100_000_000,
        _temp_dir=folder,
    )
    yield
    ray.shutdown()
    shutil.rmtree(folder, ignore_errors=True)


def start() -> Any:
    return ray.remote(Scripted).options(num_cpus=0).remote()


@pytest.fixture(scope="module")
def actor(cluster: None) -> Any:
    return start()


FRAME = (
    "The actor died because of an error raised in its creation task, \x1b[36mray::A.__init__()\x1b[39m (pid=1)\n"
    '  File "a.py", line 3, in __init__\n'
    "    raise error\n"
)


def unmade(*said: str) -> RayActorError:
    """What Ray says of an actor whose constructor raised errors, each because of the one before."""
    return RayActorError(error_msg="\n\nThe above\n\n".join(FRAME + one for one in said), actor_init_failed=True)


def test_the_reason_of_an_actor_that_could_not_be_made_is_what_it_raised_last() -> None:
    assert reason_of(unmade("ValueError: the cache is too small.\n")) == "ValueError: the cache is too small"
    assert reason_of(unmade("ValueError: the cache is\n\ntoo small")) == "ValueError: the cache is too small"
    assert reason_of(unmade("KeyError: 1", "loop.errors.Refused: a key: none.")) == "a key: none"


@pytest.mark.parametrize("error", [Refused("judge.model=x: no."), StoreFailed("full"), TemplateRefused(0, "no turn")])
def test_the_project_s_own_error_that_kept_an_actor_from_being_made_is_found_in_its_text(error: RatchetError) -> None:
    name = f"{type(error).__module__}.{type(error).__qualname__}"
    found = raised_while_made(unmade("KeyError: 1", f"{name}: {error}"))
    assert found is not None and str(found) == str(error) and found.exit_code == error.exit_code


def test_other_errors_that_kept_an_actor_from_being_made_are_faults_of_the_program() -> None:
    for said in ("ValueError: Refused: x", "loop.errors.Unheard: x", "elsewhere.Refused: x"):
        assert raised_while_made(unmade("loop.errors.Refused: inner.", said)) is None
    assert raised_while_made(RayActorError(error_msg="loop.errors.Refused: it never ran")) is None


def test_the_reason_of_anything_else_is_its_first_line() -> None:
    assert reason_of(RuntimeError("The actor died.\n\tclass_name: A")) == "The actor died"
    assert reason_of(RuntimeError()) == "RuntimeError"


def test_the_reason_of_an_actor_that_is_away_is_what_ray_saw() -> None:
    error = ActorUnavailableError("The actor is temporarily unavailable: IOError: The actor is restarting.", b"\1" * 16)
    assert reason_of(error) == "The actor is temporarily unavailable: IOError: The actor is restarting"


@pytest.mark.engine
def test_results_come_in_the_order_of_the_calls(actor: Any) -> None:
    assert wait([actor.sleep.remote(s) for s in (0.02, 0.0, 0.01)], 30.0, "sleeping") == [0.02, 0.0, 0.01]


@pytest.mark.engine
def test_a_death_is_told_apart_from_silence(actor: Any) -> None:
    with pytest.raises(ProcessDied, match=r"^dying: a process died"):
        wait([start().die.remote()], 30.0, "dying")
    with pytest.raises(TimedOut, match=r"^sleeping: 1 of 2 calls not finished within 0.5 s$"):
        wait([actor.sleep.remote(0.0), actor.sleep.remote(2.0)], 0.5, "sleeping")


@pytest.mark.engine
def test_the_project_s_own_errors_come_as_they_were_raised(actor: Any) -> None:
    for error in (StoreFailed("no space"), InfrastructureFailed("vLLM gave up")):
        with pytest.raises(type(error), match=f"^{error}$"):
            wait([actor.fail.remote(error)], 30.0, "failing")


@pytest.mark.engine
def test_what_kept_an_actor_from_being_made_comes_as_it_was_raised(cluster: None) -> None:
    refused, broken = (
        ray.remote(Unmakeable).options(num_cpus=0).remote(error) for error in (Refused("no: model."), ValueError("bug"))
    )
    with pytest.raises(Refused, match=r"^no: model[.]$"):
        wait([refused.__ray_ready__.remote()], 30.0, "starting")
    with pytest.raises(ProcessDied, match=r"^starting: a process died \(ValueError: bug\)$"):
        wait([broken.__ray_ready__.remote()], 30.0, "starting")


@pytest.mark.engine
def test_the_death_of_an_actor_that_the_called_one_needed_is_infrastructure(actor: Any) -> None:
    with pytest.raises(ProcessDied, match=r"^judging: something that it needed was lost"):
        wait([actor.call_dying.remote(start())], 30.0, "judging")


@pytest.mark.engine
def test_only_the_called_actor_s_own_end_is_its_death(actor: Any) -> None:
    for call, dead in ((start().die.remote(), True), (actor.call_dying.remote(start()), False)):
        with pytest.raises(RayActorError) as raised:
            ray.get(call)
        assert is_death(raised.value) is dead


@pytest.mark.engine
def test_a_fault_in_the_program_keeps_its_remote_traceback(actor: Any) -> None:
    with pytest.raises(RayTaskError, match="a bug here") as raised:
        wait([actor.fail.remote(ValueError("a bug here"))], 30.0, "failing")
    assert "in fail" in str(raised.value)
    with pytest.raises(RayTaskError, match="a bug elsewhere"):
        wait([actor.call_failing.remote(start())], 30.0, "failing")
