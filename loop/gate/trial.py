"""A round's candidate against the policies that stand, from what was measured of all of them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from loop.cadence import gates_in, looks_ahead
from loop.evaluation.diversity import distinct_answers
from loop.evaluation.results import Tables, compared, lengths, outcomes, texts
from loop.evaluation.splits import DEFENCE, GATE, TEST
from loop.gate.decision import Match, decide
from loop.gate.power import power
from loop.gate.rule import GateRule
from loop.gate.standing import Standing, standing
from loop.ledger import Ledger
from loop.recorder import Recorder
from loop.records import INITIAL, PolicyVersion, ShardRef, seed_of
from loop.summary import RunSummary
from loop.task import Task

AFRESH = {GATE.answers: DEFENCE.answers, GATE.scores: DEFENCE.scores}


@dataclass(frozen=True, slots=True)
class Trial:
    """What a round's candidate is tried with: the run's task, its ledger, and what the closed rounds came to."""

    task: Task
    ledger: Ledger
    summary: RunSummary

    @property
    def standing(self) -> Standing:
        """Which policies stand. Without a gate it is always the newest one, but for those that only looked ahead."""
        rounds, config = self.summary.rounds, self.task.config
        if config.gate.enabled:
            return standing(rounds)
        kept = [one.policy for one in rounds if not looks_ahead(config.algorithm, one.round)]
        newest = PolicyVersion.parse(kept[-1]) if kept else INITIAL
        return Standing(newest, newest)

    def rivals(self) -> dict[PolicyVersion, Tables]:
        """The policies that a candidate is compared with, and what was measured of each."""
        return {version: self._tables(version) for version in self.standing.rivals.values()}

    def decide(self, round: Recorder, candidate: PolicyVersion) -> None:
        """Compare the open round's candidate with its rivals, on the test prompts for whoever wants to know, on the
        gate's for the decision. Nothing is decided where the gate is not asked, or where there is no candidate but the
        incumbent. Raises: Stopped when nothing is known of candidate and incumbent."""
        round.candidate, gate, stands = candidate, self.task.config.gate, self.standing
        round.diversity = distinct_answers(texts(TEST, round.shards))
        if candidate == stands.incumbent:
            return
        seed = seed_of(self.task.identity, "win rate", round.number)
        round.versus = compared(TEST, round.shards, self._tables, stands.rivals, seed)
        if gates_in(self.task.config, round.number):
            rule, incumbent = GateRule(gate.tolerance, gate.confidence), self._match(round, stands.incumbent)
            best = self._match(round, stands.best) if stands.best != stands.incumbent else None
            result = decide(rule, str(candidate), incumbent, best, seed)
            initial = compared(GATE, round.shards, self._tables, {"initial": INITIAL}, seed)
            result = replace(result, comparisons=[*result.comparisons, *initial])
            round.gated(result, power(rule, list(incumbent.outcomes.values())).sentence)

    def _match(self, round: Recorder, version: PolicyVersion) -> Match:
        theirs = self._tables(version)
        told = outcomes(GATE, round.shards, theirs)
        return Match(str(version), told, lengths(GATE, round.shards, theirs))

    def _tables(self, version: PolicyVersion) -> Tables:
        """The shards of a table of the round in which a version was measured last; none where it never was. Of a policy
        that was promoted, those of its answers afresh stand for the gate's."""

        def of(table: str) -> list[ShardRef]:
            for one in reversed((self.summary.initial, *self.summary.rounds)):
                if one.candidate != str(version):
                    continue
                for name in (AFRESH.get(table, table), table):
                    if refs := list(self.ledger.committed(name, one.round).values()):
                        return refs
            return []

        return of
