# The two commands that matter are `make demo` and `make test`; both set everything up first.
.DEFAULT_GOAL := help
.PHONY: help setup demo test smoke lint clean

PYTHON_BIN := .venv/bin/python
# Several processes share few cores: one thread each is faster than many that wait for each other.
export OMP_NUM_THREADS ?= 1

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile

setup: ## Make .venv with everything needed (once; later calls return at once)
	@scripts/setup.sh

demo: setup ## Drive the simulated robot to the singing pillar over real ROS 2; writes out/demo
	@$(PYTHON_BIN) -m liquidspike_ros.cli demo $(ARGS)

lint: setup ## Check style and types
	@$(PYTHON_BIN) -m ruff check .
	@$(PYTHON_BIN) -m mypy

test: lint ## Check style and types, then run every test
	@$(PYTHON_BIN) -m pytest -n 2 --dist loadgroup -q $(ARGS)

smoke: setup ## Run the few tests that notice when something essential is broken (test/smoke.txt)
	@$(PYTHON_BIN) -m pytest -n 2 --dist loadgroup -q @test/smoke.txt $(ARGS)

clean: ## Remove what the commands above made
	rm -rf .venv out build dist install log *.egg-info liquidspike_ros/core/tick/native/*.so
