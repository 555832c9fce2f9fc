# `make` lists the targets. Everything that is downloaded or built lies in .venv and in $(CACHE).
SHELL := /bin/bash
VENV := .venv
PYTHON := $(VENV)/bin/python
RERUNS := 0
IMAGES := $(addprefix localhost/,wharfinger:dev wharfinger-server-base:dev wharfinger-example-greeter:dev musl-server:test distroless-server:test)
export PYTHONPATH := tests:tests/local:tests/support
.DEFAULT_GOAL := help

.PHONY: help setup check test test-api test-node test-all bench bench-operator bench-gateway bench-login demo demo-down cluster cluster-down cluster-status images crds golden lock clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-14s %s\n", $$1, $$2}'

setup: $(VENV)/.complete ## the virtual environment with the locked dependencies

$(VENV)/.complete: requirements-dev.lock pyproject.toml
	@tests/local/bootstrap $(VENV)
	@touch $@

check: setup ## format, lint, types, imports, generated files
	@$(VENV)/bin/ruff format --check -q .
	@$(VENV)/bin/ruff check -q .
	@$(VENV)/bin/mypy
	@$(VENV)/bin/lint-imports --no-logo > .import-contracts.log 2>&1 || { cat .import-contracts.log; exit 1; }
	@$(PYTHON) -m wharfinger_crds --check

test: check ## everything: pure, API, node and wire tests; builds what is missing (first run about 20 min)
	@$(PYTHON) -m cluster_access $(IMAGES) > /dev/null || true   # what cannot be had here is reported by the tests as skipped
	@$(MAKE) --no-print-directory -k -j2 test-api test-node

test-api: setup ## all tests but those of the node, side by side, each worker with a control plane of its own
	@$(VENV)/bin/pytest -q -raR --reruns $(RERUNS) -n auto --dist loadfile --no-loadscope-reorder --ignore=tests/platform

test-node: setup ## the tests that run pods: the platform, installed by its chart
	@$(VENV)/bin/pytest -q -raR --reruns $(RERUNS) tests/platform

test-all: test ## the same, and the official NetworkPolicy cases against the cluster's policy engine (10 min more)
	@$(PYTHON) -m network_policy_cases

bench: setup ## measure, and write tests/bench/RESULTS.md
	@$(PYTHON) -m bench

bench-operator: setup ## measure the operator with 500, 1000 and 2000 installations
	@$(PYTHON) -m bench.installations

bench-gateway: setup ## measure the gateway against Envoy's MCP filter (needs two cores that have nothing else to do; 5 min)
	@$(PYTHON) -m bench.gateway

bench-login: setup ## measure logins, access tokens and ten thousand grants
	@$(PYTHON) -m bench.login

demo: setup ## a cluster, the platform, two servers, a client that calls both
	@$(PYTHON) -m quickstart up

demo-down: setup ## take everything of the demo away again
	@$(PYTHON) -m quickstart down

cluster: setup ## a real Kubernetes on this machine, without Docker
	@$(PYTHON) -m local_cluster up

cluster-down: setup ## stop it, and leave nothing behind but the cache
	@$(PYTHON) -m local_cluster down

cluster-status: setup ## what of it runs
	@$(PYTHON) -m local_cluster status

images: setup ## the project's images, for the cluster
	@$(PYTHON) -m local_cluster images

crds: setup ## write the CRDs and the chart's copy from the models
	@$(PYTHON) -m wharfinger_crds

golden: setup ## write the golden files anew; review the diff
	@$(VENV)/bin/pytest -q tests/operator tests/gateway --update-golden

lock: setup ## resolve the dependencies anew
	@compile="$(VENV)/bin/uv pip compile -q --generate-hashes --universal --python-version 3.11 --no-annotate --no-header"; \
	$$compile pyproject.toml --extra tracing -o requirements.lock; \
	$$compile pyproject.toml --extra kubeconfig --extra tracing --group dev -o requirements-dev.lock; \
	for image in images/build images/server-base examples/01-quickstart/greeter/requirements tests/wire/clients/python_1 tests/bench/envoy; do $$compile $$image.in -o $$image.lock; done

clean: ## remove the virtual environment and what tools left here
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .import-contracts.log
