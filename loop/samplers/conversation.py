"""Conversations in which an answer is to be written anew."""

from __future__ import annotations

from loop.records import Message, Prompt


def asked_again(prompt: Prompt, answer: str, request: str) -> tuple[Message, ...]:
    """The prompt's turns, the answer as the assistant's, and the request; of a plain text prompt, one text."""
    turns = prompt.turns()
    if turns[-1]["role"] == "text":
        return ({"role": "text", "content": f"{turns[-1]['content']}{answer}\n\n{request}\n\n"},)
    return (*turns, {"role": "assistant", "content": answer}, {"role": "user", "content": request})
