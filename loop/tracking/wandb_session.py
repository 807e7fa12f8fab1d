"""Opens a Weights & Biases run: online or offline, and without what it would collect by itself: console, code, git,
machine, packages."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from loop.config import TrackerConfig
from loop.errors import InfrastructureFailed, Refused

FLUSH_S = 0.2
"""How often the run's file gets what was logged. wandb's own 15 s would lose that much when the process is killed:
its service ends with it and writes nothing more."""


def open_run(config: TrackerConfig, mode: str, name: str, run_id: str, folder: Path, told: Mapping[str, Any]) -> Any:
    """The run with that id, under `folder`/wandb; `told` is its configuration. Raises: InfrastructureFailed."""
    import wandb

    try:
        return wandb.init(
            project=config.project,
            entity=config.entity,
            name=name,
            id=run_id,
            resume="allow",
            dir=folder,
            config=dict(told),
            settings=_settings(mode),
        )
    except wandb.Error as error:
        reason = str(error).splitlines()[0]
        raise InfrastructureFailed(
            f"wandb could not open the run: {reason} (WANDB_MODE=offline keeps it on disk)"
        ) from error


def mode_of(environment: Mapping[str, str]) -> str:
    """The user's own choice (WANDB_MODE, `wandb offline`), otherwise online if there is a login and offline if not.
    Raises: Refused."""
    import wandb
    from wandb.sdk.lib import wbauth

    settings = wandb.setup(wandb.Settings(silent=True)).settings
    if settings.mode != "online":
        return str(settings.mode)
    try:
        login = wbauth.authenticate_session(
            host=settings.base_url, source="ratchet", prompt=False, update_session=False
        )
    except wandb.errors.AuthenticationError as error:
        raise Refused(f"wandb cannot use the login that it found: {error}") from error
    if login is None and environment.get("WANDB_MODE") == "online":
        raise Refused("WANDB_MODE=online, but wandb finds no login: set WANDB_API_KEY or run `wandb login`.")
    return "offline" if login is None else "online"


def prepare(folder: Path) -> None:
    """Set what wandb reads from the environment before it is imported."""
    os.environ["WANDB_ERROR_REPORTING"] = "false"
    os.environ.setdefault("WANDB_DATA_DIR", str(folder / "wandb"))


def where(run: Any, mode: str) -> str:
    """The one sentence that tells where the run can be seen."""
    if mode == "disabled":
        return "wandb is disabled by WANDB_MODE: nothing is tracked."
    if not run.offline:
        return f"wandb: {run.url}"
    place = Path(run.dir).parent
    others = len(list(place.parent.glob(f"*{run.id}*"))) > 1
    sent = f"{place.parent}/*{run.id}*" if others else str(place)
    return f"wandb is offline: `wandb sync {sent}` sends the run later."


def _settings(mode: str) -> Any:
    import wandb

    return wandb.Settings(
        mode=mode,
        console="off",
        symlink=False,
        allow_offline_artifacts=False,
        disable_code=True,
        x_disable_machine_info=True,
        x_disable_stats=True,
        x_save_requirements=False,
        x_transaction_log_flush_interval=FLUSH_S,
    )
