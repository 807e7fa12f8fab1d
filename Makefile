# Two commands do everything from a fresh checkout: `make demo` and `make test`. Both set up .venv first, once.

.PHONY: demo test setup lint

setup:
	@setup/install.sh

demo: setup
	.venv/bin/ratchet run experiment=osp

test: lint
	.venv/bin/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

lint: setup
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
