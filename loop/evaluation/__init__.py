"""How good a policy is on prompts that it never learns from: win rates, their intervals, length, diversity."""
