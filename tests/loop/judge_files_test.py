from __future__ import annotations

from pathlib import Path

from loop.composition import compose, spell_out_paths
from loop.config import RunConfig
from loop.identity import identity_of
from loop.judge_files import by_content, judges_of, named_files


def identity(config: RunConfig) -> str:
    return identity_of(config, "prompts", "model")


def test_members_and_later_judges_are_found_with_their_keys() -> None:
    config = compose(
        ["experiment=osp_smoke", "judge=ensemble", "+judge@later_judges.next=self", "+judge@evaluate.judge=math"]
    )
    assert [key for key, _ in judges_of(config)] == [
        "judge",
        "judge.members.first",
        "judge.members.second",
        "later_judges.next",
        "evaluate.judge",
    ]
    assert {file.key for file in named_files(config) if file.value} == {
        "judge.members.first.model",
        "judge.members.second.model",
        "judge.members.second.template",
        "later_judges.next.template",
        "later_judges.next.meta_template",
    }


def test_the_identity_knows_a_template_by_its_text(tmp_path: Path) -> None:
    one, other = tmp_path / "one.yaml", tmp_path / "other.yaml"
    one.write_text("text: which?")
    other.write_text("text: which?")
    first, second = (compose(["experiment=osp_smoke", f"judge.template={path}"]) for path in (one, other))
    assert identity(first) == identity(second)
    other.write_text("text: which one?")
    assert identity(first) != identity(second)


def test_the_identity_knows_a_judges_model_and_schema_by_their_content(tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text("1")
    config = compose(["experiment=osp_smoke", "judge=ensemble", f"judge.members.first.model={model}"])
    before = identity(config)
    (model / "config.json").write_text("2")
    assert identity(config) != before
    schema = tmp_path / "schema.json"
    schema.write_text("{}")
    config = compose(
        ["experiment=osp_smoke", "judge=verifier", "judge.rule=json_schema", f"judge.options.schema={schema}"]
    )
    before = identity(config)
    schema.write_text('{"type": "object"}')
    assert identity(config) != before


def test_levels_and_places_do_not_enter_the_identity() -> None:
    config = compose(["experiment=osp_smoke"])
    other = compose(
        ["experiment=osp_smoke", "judge.check.levels.gold=0.9", "judge.replicas=3", "judge.call_timeout_s=9"]
    )
    assert identity(config) == identity(other)
    assert identity(config) != identity(compose(["experiment=osp_smoke", "judge.too_long=cut_end"]))
    assert identity(config) != identity(compose(["experiment=osp_smoke", "+judge@later_judges.next=verifier"]))


def test_a_configuration_is_left_as_it_was_and_its_paths_can_be_spelled_out(tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "t.yaml").write_text("text: which?")
    monkeypatch.chdir(tmp_path)
    config = compose(["experiment=osp_smoke", "judge.template=t.yaml"])
    by_content(config)
    assert config.judge.template == "t.yaml"  # type: ignore[attr-defined]
    spell_out_paths(config)
    assert config.judge.template == str(tmp_path / "t.yaml")  # type: ignore[attr-defined]


def test_roles_and_names_at_servers_are_no_folders(tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.chdir(tmp_path)
    for name in ("current", "gpt"):
        (tmp_path / name).mkdir()
    served = ["judge.backend=server", "judge.model=gpt", "judge.server.url=http://h/v1"]
    for overrides in (["judge=self"], ["judge=llm", *served]):
        config = compose(["experiment=osp_smoke", *overrides])
        model = config.judge.model  # type: ignore[attr-defined]
        spell_out_paths(config)
        assert config.judge.model == model  # type: ignore[attr-defined]


def test_where_a_judge_runs_is_part_of_the_identity_a_servers_address_is_not() -> None:
    llm = ["experiment=osp_smoke", "judge=llm"]
    served = [*llm, "judge.backend=server"]
    first, second = (compose([*served, f"judge.server.url=http://{host}/v1"]) for host in ("a", "b"))
    assert identity(first) == identity(second)
    assert identity(first) != identity(compose(llm))
