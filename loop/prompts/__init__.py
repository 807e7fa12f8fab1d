"""Prompts: read from files and hubs, encoded once, some set aside for evaluation, the others drawn for rounds."""
