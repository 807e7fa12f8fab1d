"""Judges with models of their own, on vLLM or transformers, inside a judge actor's process."""
