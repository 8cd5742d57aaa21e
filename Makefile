# The two commands that a fresh machine needs: `make run` and `make test`.
SHELL := /bin/sh
.DEFAULT_GOAL := help
NODE ?= node
NPM ?= npm
SOURCES := $(shell find src -name '*.ts' 2>/dev/null)
UNAME ?= $(shell uname -s)
# node --test leaves one CPU idle by itself, which is half of a small machine.
CPUS = $(shell $(NODE) -p 'os.availableParallelism()' 2>/dev/null || echo 2)

.PHONY: help run build deps system-deps test-deps bench-deps check types lint unit explore integration test-systemd \
        test-launchd test-hardening test-units apps apps-install apps-sample fuzz fuzz-sample fuzz-mutations test-nodes test-npm nodes-sample \
        test-proxies proxies-sample test-pm2 test-container test-examples formula test bench reloads faults clean

help: ## Show what there is
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | sort | awk -F'\t' '{ printf "  make %-14s %s\n", $$1, $$2 }'

run: dist/cli/main.js ## Serve the built-in app on http://localhost:3000
	@exec $(NODE) dist/cli/main.js serve

build: dist/cli/main.js ## Compile src into dist

dist/cli/main.js: $(SOURCES) package.json tsconfig.json node_modules/.package-lock.json
	@rm -rf dist && $(NPM) run --silent build

deps: node_modules/.package-lock.json ## Install the npm packages

node_modules/.package-lock.json: package.json package-lock.json | system-deps
	$(NPM) ci --no-audit --no-fund
	@touch $@

system-deps:
	@sh packaging/system-deps.sh run

test-deps:
	@sh packaging/system-deps.sh test

bench-deps:
	@sh packaging/system-deps.sh bench

# What is compiled has been checked.
types: build/.stamp

lint: deps
	@npx biome check .

build/.stamp: $(SOURCES) $(shell find test -name '*.ts') test/tsconfig.json tsconfig.json node_modules/.package-lock.json
	@rm -rf build && npx tsc -p test/tsconfig.json && ln -s ../node_modules build/node_modules && cp package.json build/ && touch $@

ROOMS := $(addprefix unit/,settings core protocol config master worker http service-manager logging control doctor setup cli packaging) \
	simulation support bench fuzz system/apps
tests_of = $(shell find $(addprefix test/,$(1)) -name '*.test.ts' 2>/dev/null | sed 's|^|build/|; s|\.ts$$|.js|' | sort)

# A process for each test file costs more than most of these tests: a room is one process, but where tests need a
# process of their own (the worker's handlers, the log's streams).
APART := unit/worker unit/logging
build/rooms/%.test.js: build/.stamp
	@mkdir -p $(@D) && find build/test/$* -name '*.test.js' -not -path '*/explore/*' | sort \
		| sed "s|^\(.*\)|import '$(CURDIR)/\1';|" > $@

ROOM_FILES := $(patsubst %,build/rooms/%.test.js,$(filter-out $(APART),$(ROOMS)))
unit: build/.stamp $(ROOM_FILES) ## Fast tests of every room
	@$(NODE) --test --test-concurrency=$(CPUS) build/test/architecture.test.js build/test/translations.test.js \
		build/test/unit/errors.test.js $(ROOM_FILES) $(call tests_of,$(APART))

check: types lint unit ## Types, lint and unit tests: under a minute

explore: build/.stamp ## The core through all interleavings to a depth, at random beyond it, and broken by hand
	@$(NODE) --test --test-concurrency=$(CPUS) $(call tests_of,simulation/explore)

# What takes longest comes first, so that no file is alone at the end. Four at a time: they wait about half of their time.
LONGEST := $(addprefix build/test/,$(addsuffix .test.js,system/packaging/install $(addprefix integration/,stop sticky \
	reload-bad serve spares reload-signals restart reload-releases apps balance reload evidence capture)))
INTEGRATION = $(call tests_of,integration system/packaging)
integration: build build/.stamp ## Real processes: drains, restarts, ends, hosted apps
	@$(NODE) build/test/run-files.js 4 $(filter $(INTEGRATION),$(LONGEST)) $(filter-out $(LONGEST),$(INTEGRATION))

test-launchd: build build/.stamp ## The plist, with a stand-in for launchd
	@$(NODE) --test --test-concurrency=1 $(call tests_of,system/launchd)

test-systemd: build build/.stamp test-deps ## Behaviour under a real systemd, booted in a container (root)
	@$(NODE) --test --test-concurrency=3 $(addprefix build/test/system/systemd/,first-lane.js second-lane.js third-lane.js)

test-hardening: build build/.stamp test-deps ## Each directive of the unit alone, and an app that runs into it, on Debian 12 and 13 (root). Ten minutes
	@$(NODE) --test build/test/system/systemd/hardening/all.test.js

test-units: build build/.stamp test-deps ## Real apps from npm under the shipped unit, in a booted systemd (root): slow the first time
	@$(NODE) --test build/test/system/systemd/real-apps/all.test.js

test-proxies: build build/.stamp ## The examples for nginx and HAProxy, run by those of Debian, with reloads under load
	@sh packaging/system-deps.sh proxies
	@$(NODE) --test --test-concurrency=2 $(call tests_of,system/proxies)

proxies-sample: build build/.stamp test-deps ## One reload under load behind nginx
	@PROXIES_SAMPLE=1 $(NODE) --test --test-name-pattern='under load behind nginx' build/test/system/proxies/nginx.test.js

.PHONY: test-install
test-install: build build/.stamp test-deps ## rom-agent install, uninstall and list in a booted systemd (root)
	@$(NODE) --test build/test/system/systemd/install/install.test.js

test-container: build/.stamp ## The image and an app on top of it, built and run by Debian's buildah and podman (root): slow the first time
	@sh packaging/system-deps.sh container
	@$(NODE) --test $(call tests_of,system/container)

test-examples: build/.stamp ## The examples for Compose, Kubernetes and Homebrew and the workflows, by schemas and a linter from npm
	@sh packaging/system-deps.sh examples
	@$(NODE) --test $(call tests_of,system/examples)

TARBALL ?= build/homebrew/$(shell $(NODE) -p '`rom-agent-$${require("./package.json").version}.tgz`' 2>/dev/null)
formula: build ## Homebrew's formula, from the tarball of npm pack, or from TARBALL; URL is where that will be
	@mkdir -p build/homebrew
	@[ -e '$(TARBALL)' ] || $(NPM) pack --silent --pack-destination build/homebrew >/dev/null
	@$(NODE) packaging/homebrew/formula.mjs '$(TARBALL)' $(URL) >build/homebrew/rom-agent.rb && echo build/homebrew/rom-agent.rb

apps-install: build/.stamp ## Install and build the real apps of test/fixtures/system, once: needs the network
	@$(NODE) build/test/system/apps/install-all.js

apps: build build/.stamp ## The apps of docs/reference/apps.md, installed from npm, under load. Five minutes
	@$(NODE) --test build/test/system/apps/all.js

apps-sample: build build/.stamp ## Five of them: Express, Koa, Fastify, Hono, Socket.IO
	@APPS=set:sample APPS_AT_ONCE=3 $(NODE) --test build/test/system/apps/all.js

fuzz: build/.stamp ## Connections at random, compared with node itself: an hour, or FUZZ_SECONDS
	@$(NODE) build/test/fuzz/main.js

fuzz-sample: build/.stamp ## The scripts that have found something, and a few others: a minute
	@$(NODE) --test build/test/fuzz/suite/sample.js

fuzz-mutations: build/.stamp ## Whether the fuzzer finds each mistake once its guard is taken out. Five minutes
	@$(NODE) --test build/test/fuzz/suite/mutations.js

test-nodes: build/.stamp ## The worker's tests on every major of Node, which come from npm (Linux, x64)
	@$(NODE) --test build/test/system/nodes/all.js

test-npm: build build/.stamp ## The packed tarball, installed from npm on every major of Node, and by npx
	@$(NODE) --test build/test/system/npm/all.js

nodes-sample: build/.stamp ## Those of them that are about moving and ending connections
	@NODES_SAMPLE=1 $(NODE) --test build/test/system/nodes/all.js

test-pm2: build build/.stamp test-deps ## Beside the real PM2, which comes from npm: the daemon below it, and apps taken over (root)
	@$(NODE) --test --test-concurrency=1 $(call tests_of,system/pm2)

SUITES := types lint unit explore integration nodes-sample fuzz-sample apps-sample proxies-sample test-launchd test-systemd
test: ## Every suite, whatever fails, and what came of each at the end
	@MAKE='$(MAKE)' sh test/run-suites.sh $(SUITES)

reloads: build build/.stamp bench-deps ## 200 reloads under load, at the daemon, behind nginx, and of PM2
	@$(NODE) build/test/bench/reloads/main.js

faults: build build/.stamp bench-deps ## What is lost when something fails, under a real systemd, and of PM2 beside it (root)
	@$(NODE) build/test/bench/faults/main.js

bench: build build/.stamp bench-deps ## Figures beside a bare node:cluster
	@$(NODE) build/test/bench/load/main.js

clean: ## Remove what was built
	rm -rf dist build packages

include packaging/install.mk
include packaging/packages.mk
