"""The final summary of a run: what changed, round by round, and where everything lies."""

from __future__ import annotations

from pathlib import Path

from loop.summary import FILE_NAME, RoundSummary, RunSummary
from loop.view.table import CHANGE_TONES, FINAL, Change, change_of, fitting, gain_of, gated, header, row, told
from loop.view.text import Line, Span, Tone, duration, labelled, percent, points, visible, wrapped

_MEANING = {
    "better": "better: the 95% intervals do not overlap",
    "worse": "worse: the 95% intervals do not overlap",
    "unclear": "not clear: the 95% intervals overlap",
}


def closing(summary: RunSummary, folder: Path, width: int) -> list[Line]:
    """All lines, in order: outcome, table, notes, places."""
    blank: Line = ()
    asked = next((one for one in summary.rounds if one.gate is not None), summary.initial)
    columns = fitting(gated(told(FINAL, summary.rounds), asked), width)
    table = [row(columns, one, summary.initial) for one in (summary.initial, *summary.rounds)]
    outcome = [*_outcome(summary), *_versus(summary, width), *_stands(summary)]
    lines = [_headline(summary), *_stopped(summary, width), blank, *outcome, blank]
    lines += [*header(columns), *table, *_notes(summary, width), blank]
    return lines + _places(summary, folder, width)


def _headline(summary: RunSummary) -> Line:
    rounds = f"{len(summary.rounds)} round{'' if len(summary.rounds) == 1 else 's'}"
    state = "finished" if summary.finished else "not finished"
    return ((visible(summary.run), "strong"), (f"  {state}: {rounds} in {duration(summary.seconds_total)}", ""))


def _stopped(summary: RunSummary, width: int) -> list[Line]:
    if summary.stopped_because is None:
        return []
    return [((part, "attention"),) for part in wrapped(f"stopped: {visible(summary.stopped_because)}", width)]


def _score(one: RoundSummary) -> Span:
    if one.gold_low is None or one.gold_high is None:
        return (percent(one.gold_score), "strong")
    return (f"{percent(one.gold_score)} ({100 * one.gold_low:.1f} to {100 * one.gold_high:.1f})", "strong")


def _outcome(summary: RunSummary) -> list[Line]:
    before = summary.initial
    measured = [one for one in summary.kept if one.gold_score is not None]
    if before.gold_score is None or not measured:
        return [(("gold score  ", "dim"), _score(before), ("  no trained round was measured", "attention"))]
    after = summary.standing if summary.standing in measured else measured[-1]
    best = max(measured, key=lambda one: one.gold_score or 0.0)
    change = change_of(after, before)
    gain = f"{points(gain_of(after, before))} points"
    lines: list[Line] = [
        (
            ("gold score  ", "dim"),
            _score(before),
            ("  ->  ", "dim"),
            _score(after),
            ("  ", ""),
            (gain, CHANGE_TONES[change]),
        ),
        (("            ", ""), (_MEANING[change], "" if change == "better" else "attention")),
    ]
    if best.gold_score != after.gold_score:
        lines.append((("best round  ", "dim"), (f"{best.round} with ", ""), _score(best)))
    return lines


def _versus(summary: RunSummary, width: int) -> list[Line]:
    """How the policy fares against the initial one, compared answer by answer."""
    told = next((told for told in summary.standing.versus if told.against == "initial"), None)
    if told is None:
        return []
    won: Change = "better" if told.low > 0.5 else "worse" if told.high < 0.5 else "unclear"
    share = f"{percent(told.win_rate)} ({100 * told.low:.1f} to {100 * told.high:.1f})"
    what = {
        "better": "better than the initial policy",
        "worse": "worse than the initial policy",
        "unclear": "not clear: as good as the initial policy lies in the interval",
    }[won]
    controlled = "" if told.length_controlled is None else f", {percent(told.length_controlled)} at equal length"
    first: Line = (("win rate    ", "dim"), (share, CHANGE_TONES[won]), (controlled, ""))
    tone: Tone = "" if won == "better" else "attention"
    indent = " " * 12
    sentence = wrapped(f"{what} on {told.prompts} test prompts", width - len(indent))
    return [first, *(((indent, ""), (part, tone)) for part in sentence)]


def _stands(summary: RunSummary) -> list[Line]:
    """Which policy the run ended with, where a gate decided."""
    asked = [one for one in summary.rounds if one.gate is not None]
    if not asked:
        return []
    promoted = sum(one.gate is not None and one.gate.decision == "promoted" for one in asked)
    return [
        (
            ("policy      ", "dim"),
            (visible(summary.stands or summary.last.policy), "strong"),
            (f" stands; the gate promoted {promoted} of {len(asked)} candidates", ""),
        )
    ]


def _notes(summary: RunSummary, width: int) -> list[Line]:
    notes = [(one.round, visible(note)) for one in (summary.initial, *summary.rounds) for note in one.notes]
    return [((part, "attention"),) for at, note in notes for part in wrapped(f"round {at}: {note}", width)]


def _places(summary: RunSummary, folder: Path, width: int) -> list[Line]:
    time = f"{duration(summary.seconds_total)} in all"
    if summary.seconds_to_first_token is not None:
        time += f", the first token after {duration(summary.seconds_to_first_token)}"
    rows = [("time", time)]
    if summary.peak_memory_gib is not None:
        rows.append(("memory", f"{summary.peak_memory_gib:.2f} GiB at the peak, all processes together"))
    rows.append(("summary", str(folder / FILE_NAME)))
    exported = {one.round: Path(one.checkpoint) for one in summary.rounds if one.checkpoint is not None}
    if not exported:
        return labelled(rows, width)
    last = exported[max(exported)]
    rows.append(("checkpoints", f"{last.parent} (rounds {', '.join(map(str, exported))})"))
    return [*labelled(rows, width), (), (("the last one, in Python:", "dim"),), *_loading(last)]


def _loading(checkpoint: Path) -> list[Line]:
    """Python to copy, not indented and not wrapped."""
    code = (
        "from transformers import AutoModelForCausalLM, AutoTokenizer",
        f"path = {str(checkpoint)!r}",
        "model, tokenizer = AutoModelForCausalLM.from_pretrained(path), AutoTokenizer.from_pretrained(path)",
    )
    return [((visible(line), ""),) for line in code]
