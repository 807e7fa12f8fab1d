from __future__ import annotations

from pathlib import Path

from loop.composition import compose
from loop.judge_config import HostedConfig
from loop.judge_settings import settings_digest


def digest(*overrides: str) -> str:
    judge = compose(["experiment=osp_smoke", "judge=llm", *overrides]).judge
    assert isinstance(judge, HostedConfig)
    return settings_digest(judge)


def test_what_can_change_a_reply_names_another_judge(tmp_path: Path) -> None:
    template = tmp_path / "template.yaml"
    template.write_text("a")
    before = digest(f"judge.template={template}")
    template.write_text("b")
    others = [
        digest(*given)
        for given in (
            [],
            ["judge.too_long=cut_end"],
            ["judge.max_context=99"],
            ["judge.read=constrained"],
            ["judge.dtype=bfloat16"],
            ["judge.backend=transformers"],
            [f"judge.template={template}"],
        )
    ]
    assert len({before, *others}) == 8


def test_what_cannot_does_not() -> None:
    assert digest() == digest("judge.name=mine", "judge.replicas=2", "judge.max_failed=0.5", "judge.check.prompts=0")
