"""Where a round happens: Ray actors around vLLM, judges and DeepSpeed, and the push between them."""
