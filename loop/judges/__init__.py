"""Judges: each answers questions about responses. What a judge can answer is declared, so a recipe can refuse it while
composing."""
