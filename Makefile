PYTHON ?= python3
BIN := .venv/bin
ROUNDS ?= 1
TESTERS ?= auto
PORT ?= 3000
FACTOR ?= 100
LAKE := $(CURDIR)/.demo/lake
DEMO_EXTRAS := build deploy dg kubernetes mysql pandera pipelines polars postgresql webserver

.PHONY: demo demo-servers help ui test quick long faults check tutorial acceptance screenshots cluster bench bench-docs bench-full large lock \
	wheel docs docs-build clean
.DEFAULT_GOAL := demo

demo: .venv/demo.ready  ## materialize the shipped pipeline into .demo/ and show the tables; DAYS=2013-01-01...2013-01-07 for a week
	@$(BIN)/python -W ignore -m pipelines.demo $(DAYS)

demo-servers: .venv/dev.ready  ## the same on PostgreSQL, MariaDB and S3 servers that it starts, beside that on files
	@$(BIN)/python -W ignore -m tests.servers.demo

help:  ## list these targets
	@sed -n 's/^\([a-z-]*\):.*  ## \(.*\)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 14

ui: .venv/demo.ready  ## open Dagster on the demo's lake and its runs, at http://localhost:3000 (PORT=3000); without a lake the demo runs first
	@[ -d $(LAKE) ] || $(MAKE) --no-print-directory demo
	@echo "Dagster starts: http://localhost:$(PORT) has the demo's runs, http://localhost:$(PORT)/assets its tables. Ctrl-C ends it."
	@VIRTUAL_ENV=$(CURDIR)/.venv PATH="$(CURDIR)/$(BIN):$$PATH" \
		DAGSTER_HOME=$(CURDIR)/.demo/dagster PRACTICUS_LAKE=$(LAKE) $(BIN)/dg dev --port $(PORT)

test: .venv/dev.ready .venv/openlineage.ready  ## run the tests but for the long ones, the attack, the browser's and the cluster's; TESTERS=1 for one process
	@$(BIN)/python -m pytest -n $(TESTERS) --dist worksteal -m "not long and not faults and not browser and not cluster"

quick: .venv/dev.ready  ## run the tests that start no process and no server, and take less than three seconds
	@$(BIN)/python -m pytest -q -n $(TESTERS) --dist worksteal \
		-m "not slow and not process and not s3 and not postgresql and not mariadb \
			and not faults and not browser and not cluster"

long: .venv/dev.ready .venv/ray.ready  ## run the tests of daemons, of Ray and of Apache Spark (SPARK_HOME), which take minutes; ROUNDS=3 requests a year of runs
	@ROUNDS=$(ROUNDS) $(BIN)/python -m pytest -v -s -m long tests/integration

faults: .venv/dev.ready  ## attack transactions on a disk and on S3; ROUNDS=3 tries more points
	@command -v strace >/dev/null || { echo "strace is needed: apt-get install strace"; exit 1; }
	@[ "$$(id -u)" = 0 ] || { echo "root is needed, to mount small disks"; exit 1; }
	@ROUNDS=$(ROUNDS) $(BIN)/python -m pytest -q -n $(TESTERS) --dist worksteal tests/faults

tutorial: .venv/dev.ready  ## follow the tutorial from a wheel in an empty environment, with packages from PyPI, and time it
	@$(BIN)/python -m tests.integration.first_hour

acceptance: .venv/dev.ready  ## run the tests that need Chromium
	@$(BIN)/python -m pytest tests/acceptance

screenshots: .venv/dev.ready  ## take the pictures of docs/images anew, in Chromium
	@mkdir -p docs/images
	@SCREENSHOTS=docs/images $(BIN)/python -m pytest -q tests/acceptance/test_pictures.py

cluster: .venv/dev.ready  ## run the tests on the cluster of KUBECONFIG, with the images that .ci/run builds and names
	@$(BIN)/python -m pytest -n 4 --dist loadscope tests/cluster

check: .venv/dev.ready  ## lint, format, types, import rules, definitions
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -W ignore -m dagster definitions validate -m pipelines --log-level error
	@VIRTUAL_ENV=$(CURDIR)/.venv PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/dg check defs

docs: .venv/dev.ready  ## serve the site of docs/ on loopback, and write it again when a page changes
	@$(BIN)/python docs/site/build.py serve

docs-build: .venv/dev.ready  ## write the site of docs/ into .site/html; a link that leads nowhere fails
	@$(BIN)/python docs/site/build.py

bench: .venv/dev.ready  ## measure against delta-rs alone, by hand, and other IO managers, in about 15 minutes
	@$(BIN)/python -W ignore benchmarks/bench.py

bench-docs: .venv/dev.ready  ## the full one, into docs/performance.md and its plot
	@$(BIN)/python -W ignore benchmarks/bench.py --full --publish

bench-full: .venv/dev.ready  ## measure all of it, the long ones too
	@$(BIN)/python -W ignore benchmarks/bench.py --full

large: .venv/dev.ready  ## the pipeline's join and sum on FACTOR=100 times the flights, by each way to the same fingerprints, and what each takes
	@$(BIN)/python -W ignore benchmarks/large.py --factor $(FACTOR)

wheel: .venv/demo.ready  ## build the package into dist/, for projects that cannot reach the repository
	@$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation -w dist .

lock:  ## write the lock files anew, with the newest versions that pyproject.toml allows
	@$(BIN)/python -m pip install --quiet uv
	@$(BIN)/uv pip compile --quiet --upgrade --universal --generate-hashes --no-strip-extras --no-header --no-emit-index-url \
		--python-version 3.11 $(DEMO_EXTRAS:%=--extra %) pyproject.toml -o requirements.lock
	@$(BIN)/uv pip compile --quiet --upgrade --universal --generate-hashes --no-strip-extras --no-header --no-emit-index-url \
		--python-version 3.11 --all-extras --group dev -c requirements.lock pyproject.toml -o requirements-dev.lock
	@$(BIN)/uv pip compile --quiet --upgrade --universal --generate-hashes --no-strip-extras --no-header --no-emit-index-url \
		--python-version 3.11 --extra deploy --extra pipelines --extra build -c requirements.lock pyproject.toml \
		-o requirements-image.lock

clean:  ## remove the environments, the demo's lake and what benchmarks left
	@rm -rf .venv .demo .bench .site dist

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -m venv .venv || { echo "Python's venv is needed, e.g. apt install python3-venv"; exit 1; }

.venv/demo.ready: requirements.lock pyproject.toml | .venv/bin/python
	@echo "Installing what the demo needs (once)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

.venv/dev.ready: requirements-dev.lock pyproject.toml | .venv/bin/python
	@echo "Installing what the tests need (once)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

# beside the environment: in it, dg would import dagster-openlineage whenever it loads a project, and Ray is large
.venv/openlineage.ready .venv/ray.ready: .venv/%.ready: tests/%.lock | .venv/dev.ready
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --upgrade --target .venv/$* --require-hashes -r $<
	@touch $@
