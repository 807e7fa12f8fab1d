"""What stops a round or is told of it: judges that fall short or fail, and a gate that rejected too often."""

from __future__ import annotations

from loop.config import RunConfig
from loop.errors import Stopped
from loop.gate.standing import Standing
from loop.judge_config import JudgeConfig
from loop.judges.calibration import CheckReport, sentence, shortfalls, table
from loop.recorder import Recorder


def refuse_rejections(config: RunConfig, standing: Standing) -> None:
    """Raises: Stopped when the gate has rejected as many candidates in a row as configured."""
    if config.gate.enabled and standing.rejections >= config.gate.max_rejections:
        raise Stopped(
            f"the gate rejected {standing.rejections} candidates in a row: {standing.incumbent} stands; another judge, "
            "recipe or learning rate may get further (gate.max_rejections sets how many it takes)"
        )


def refuse_untrustworthy(round: Recorder, judge: JudgeConfig, report: CheckReport) -> None:
    """Say what the check came to. Raises: Stopped when the judge falls short of a configured level."""
    round.note(sentence(report))
    short = shortfalls(report, judge.check.levels)
    if short:
        for line in table(report):
            round.note(line)
        raise Stopped(f"round {round.number}: judge={judge.name} is not trusted: {'; '.join(short)}")


def review(round: Recorder, max_failed: float) -> None:
    """What the round's judgements are worth. Raises: Stopped when a larger share of them failed than configured."""
    failed, asked = round.count("judgements", "failed"), round.count("judgements")
    if too_long := round.count("responses", "too_long"):
        round.note(f"{too_long:.0f} responses were left out: with what stands before them they exceed the context.")
    if mixed := round.count("responses", "mixed"):
        effective = round.count("responses", "ess") / mixed
        round.note(f"The mixture's samples were chosen from {effective:.1f} draws each (effective number, mean).")
    if cases := round.count("judgements", "gold_cases"):
        right, both, flips = (round.count("judgements", f"gold_{name}") for name in ("right", "both", "flips"))
        flipped = f"; {flips / both:.1%} of its verdicts changed with the order" if both else ""
        round.note(
            f"The judge preferred the right answer to a wrong one in {right / cases:.1%} of {cases:.0f} cases{flipped}."
        )
    if cut := round.count("judgements", "cut"):
        round.note(f"The judge saw shortened responses in {cut:.0f} of {asked:.0f} judgements: its input has a limit.")
    if failed > max_failed * asked:
        raise Stopped(
            f"round {round.number}: {failed:.0f} of {asked:.0f} judgements failed, more than "
            f"judge.max_failed={max_failed}: stopped instead of training on noise"
        )
