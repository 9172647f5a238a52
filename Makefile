# The everyday commands. Each is a line or two over hack/setup.sh, cargo and the tool in hack/dev.
# Variables given here (make up SCORERS=3) reach that tool through the environment.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup setup-control-plane setup-tests setup-cluster up down demo test submit bench chaos schemathesis model crds values \
	openapi fmt lint build cluster cluster-down images install uninstall e2e clean

# What `build` has built. (cargo run --package builds dependencies once more, with the features of that package alone.)
BIN := $${CARGO_TARGET_DIR:-target}/debug
DEV := $(BIN)/dev

help: ## Show what there is
	@echo "make TARGET [VARIABLE=value ...]"; echo
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo; echo "make up, demo: SCORERS SCORER_CONCURRENCY SCORER_LEASE SCORER_GRACE OPERATORS OPERATOR_LEADER_LEASE GATEWAYS POOLS"
	@echo "               MIRROR_BATCH_OVERFLOW CONTROLLER_MANAGER, GATEWAY_ENV OPERATOR_ENV SCORER_ENV='A=1 B=2',"
	@echo "               ASSAY_DEV_DATABASE_URL ASSAY_DEV_REDIS_URL ASSAY_DEV_KUBECONFIG (use these instead of our own)"
	@echo "make chaos:    JOBS FAULTS SEED=1,2,3, or OUTAGES=60 (seconds without Postgres, without Redis, without the API server)"
	@echo "make schemathesis: EXAMPLES SEED"
	@echo "make bench:    BENCH_JOBS BENCH_SECONDS BENCH_CONCURRENCY=5,50 BENCH_RUBRIC"

setup: ## Install what is missing (quiet when nothing is)
	@hack/setup.sh

setup-control-plane:
	@hack/setup.sh control-plane

setup-tests:
	@hack/setup.sh tests

setup-cluster:
	@hack/setup.sh cluster

build: ## Build all programs, and the queue page that is part of the gateway
	@cargo build --workspace --bins

up: setup build ## Start everything and leave it running; .dev/env says how to reach it
	@$(DEV) up

down: build ## Stop what `make up` started, leaving nothing behind
	@$(DEV) down

demo: setup build ## Score real source files from nothing to `kubectl get scoringjobs` (SUBMISSIONS=folder)
	@$(DEV) demo

submit: build ## Score each source file of a folder on the running stack (DIR=folder)
	@$(if $(DIR),,echo "make submit DIR=folder" >&2; exit 2;) $(DEV) submit

bench: setup-control-plane build ## Measure POST rate and drain on a stack of its own
	@$(DEV) bench

chaos: setup-control-plane build ## Random faults against a whole Assay, then proof that nothing was lost or done twice
	@$(BIN)/chaos

test: setup-tests lint build ## Check format and lints, build, and run all tests against real servers
	$(DEV) with-servers cargo test --workspace --no-fail-fast

schemathesis: setup-tests build ## Have schemathesis look for what the API does and its description does not say
	$(DEV) with-servers cargo test --workspace --test gateway -- schemathesis --nocapture

model: build ## Try every order of events and faults in a model of a job's life, and print what was tried
	@$(BIN)/model

fmt: ## Format all code
	cargo fmt --all

lint: ## Check format and lints
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --test cluster -- -D warnings

crds: build ## Write crds/ and the chart's copy anew from the Rust types
	@$(BIN)/operator crds
	@$(BIN)/operator crds --folder charts/assay/definitions

values: build ## Write docs/values.md anew from the comments in the chart's values.yaml
	@$(BIN)/chart-values > docs/values.md

openapi: build ## Write docs/openapi.json anew from the routes
	@$(BIN)/gateway openapi > docs/openapi.json

cluster: setup-cluster ## Start a real cluster: kind where Docker runs, else a node of our own (needs root)
	@hack/cluster/up.sh

cluster-down: ## End it, leaving nothing behind
	@hack/cluster/down.sh

install: images ## Install the chart on it, or upgrade what is installed there
	@hack/cluster/install.sh

uninstall: ## Take away what `make install` installed
	@hack/cluster/uninstall.sh

e2e: setup-cluster ## Install the chart on the cluster, and run tests of all that real Pods do
	@hack/cluster/e2e.sh

images: setup-cluster ## Make images of the services, and give them to the cluster if it runs (PROFILE=release as for production)
	@hack/cluster/images.sh
	@hack/cluster/load.sh --if-running gateway operator scorer postgres redis

clean: down ## Stop everything and remove what was built here
	@hack/cluster/down.sh --quiet
	cargo clean
