#!/usr/bin/env bash
# Resolve pyproject.toml for the CPU into setup/cpu.lock (needs uv). torch is left to setup/install.sh, which knows where its CPU build may lie.
set -euo pipefail
cd "$(dirname "$0")/.."
uv pip compile pyproject.toml --extra cpu --extra dev --python-version 3.11 --override setup/not-on-cpu.txt \
  --no-annotate --no-header --no-emit-package torch --no-emit-find-links --no-emit-index-url "$@" -o setup/cpu.lock
