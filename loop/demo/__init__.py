"""The demo: a small policy of the project's own, the task it was trained on, and the demo's prompts."""
