#!/usr/bin/env bash
# Make .venv with the pinned CPU stack and the project itself; does nothing when it is already as setup/cpu.lock says.
set -euo pipefail
cd "$(dirname "$0")/.."

TORCH="torch==2.13.0+cpu"
STAMP=.venv/.installed
want=$(cat setup/cpu.lock pyproject.toml setup/install.sh | sha256sum | cut -d' ' -f1)
[ -f "$STAMP" ] && [ "$(cat "$STAMP")" = "$want" ] && exit 0

python=""
for candidate in python3.11 python3 python3.12; do
  if "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))' 2>/dev/null; then
    python=$candidate
    break
  fi
done
[ -n "$python" ] || { echo "set-up needs Python 3.11 or 3.12 on the PATH" >&2; exit 2; }

echo "setting up .venv (once; takes about two minutes)"
[ -x .venv/bin/python ] || "$python" -m venv .venv
pip() { .venv/bin/python -m pip --disable-pip-version-check "$@"; }

# The CPU build of torch: where this machine's pip already offers it, else PyTorch's own index. A missing version is answered at once,
# and retries are off, so an index that cannot be reached costs no waiting.
if ! .venv/bin/python -c 'import importlib.metadata as m, sys; sys.exit(m.version("torch") != "2.13.0+cpu")' 2>/dev/null; then
  pip install -q --no-deps --retries 0 "$TORCH" 2>/dev/null ||
    pip install -q --no-deps --index-url https://download.pytorch.org/whl/cpu "$TORCH"
fi
pip install -q --no-deps -r setup/cpu.lock
pip install -q --no-deps --no-build-isolation -e .
echo "$want" > "$STAMP"
