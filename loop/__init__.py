"""What happens in a round, and nothing about where: importable without Ray, vLLM or DeepSpeed."""
