# Everything a newcomer types. `make help` prints it.
# npm-started programs and the recipes below run under the Node that the lockfile brings (24), whatever the machine has.
export PATH := $(CURDIR)/node_modules/.bin:$(PATH)
SHELL := /bin/bash
FOR ?=

.DEFAULT_GOAL := help
.PHONY: help setup demo test e2e cluster check format generate bench fuzz images tools clean faults

help: ## Show this help
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: node_modules/.stamp ## Install the dependencies of the lockfile
node_modules/.stamp: package-lock.json package.json
	npm ci --no-progress --loglevel=error
	@touch $@

tools: setup ## Build what tests run (nats-server, a Kubernetes control plane, helm, kubeconform) into .bin/, once
	tools/build.sh nats-server plane chart
	tools/databases.sh timescaledb postgres15

demo: setup ## Feed events of this machine through the platform and show the rows; FOR=60s ends by itself
	@tools/build.sh nats-server
	@node demo/main.ts $(if $(FOR),--for $(FOR))

test: tools ## Types, lint, format, and every test on real servers
	@npm run --silent check
	@vitest run

e2e: setup ## Run the scenarios on a real cluster: that of KUBECONFIG, else one of kind, else three nodes made here
	@node e2e/main.ts

cluster: setup ## The cluster of the scenarios and a shell in it
	@node e2e/main.ts cluster

check: setup ## Types, lint and format only
	@npm run --silent check

format: setup ## Format the sources
	@oxfmt .

generate: setup ## Write the CRD from the Schemas, to crds/ and to the chart
	@node crds/generate.ts

bench: setup ## Measure the writer against a plain COPY
	@tools/build.sh nats-server
	@node bench/main.ts $(ARGS)

fuzz: setup ## Damaged inputs to every decoder and processor; COUNT=1000000 TARGET=name SEED=n
	@COUNT="$(COUNT)" TARGET="$(TARGET)" SEED="$(SEED)" FROM="$(FROM)" node testing/fuzz/main.ts

faults: setup ## Put writers through faults; CASE=N14, N or N14,P01, SEED=1, SWEEP=200 for short random runs, FULL=1 for long ones
	@tools/build.sh nats-server
	@node testing/faults/main.ts $(if $(CASE),--case $(CASE)) $(if $(SEED),--seed $(SEED)) $(if $(SWEEP),--sweep $(SWEEP)) $(if $(FULL),--full)

images: setup ## Build the images of operator and writer: with Docker where it answers, else as archives in dist/images/
	@node images/main.ts

clean: ## Remove what was built and the local platform's data
	rm -rf node_modules .bin .local dist coverage
