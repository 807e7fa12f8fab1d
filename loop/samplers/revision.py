"""Revisions (SRPO): given answers in the context of a conversation that asks to improve one of them."""

from __future__ import annotations

from loop.pairing.revised import SHOWN
from loop.records import Prompt
from loop.samplers.conversation import asked_again
from loop.samplers.strategy import Draw, Options, Strategy, Values
from loop.verdict import Group

REQUEST = "Improve this answer. Reply with the improved answer alone."
"""What asks for a revision; the wording is ours."""


def revision(prompt: Prompt, group: Group, values: Values, options: Options, step: int, k: int) -> list[Draw]:
    """Chosen and rejected answer of the prompts' file, each as a revision of each, and no samples; nothing where one of
    them is missing."""
    if prompt.chosen is None or prompt.rejected is None:
        return []
    texts = {"chosen": prompt.chosen, "rejected": prompt.rejected}
    return [
        Draw(purpose="revision", number=number, turns=asked_again(prompt, texts[shown], REQUEST), text=texts[written])
        for number, (written, shown) in enumerate(SHOWN)
    ]


REVISION = Strategy(
    name="revision",
    source="Choi et al. 2024 (SRPO), arXiv:2406.01660",
    propose=revision,
    most=lambda options, k: len(SHOWN),
)
