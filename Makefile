# The two commands that a fresh machine needs: `make run` and `make test`.
SHELL := /bin/sh
.DEFAULT_GOAL := help
NODE ?= node
NPM ?= npm
SOURCES := $(shell find src -name '*.ts' 2>/dev/null) $(wildcard src/admin/page/* src/admin/page/style/*)
UNAME ?= $(shell uname -s)
# node --test leaves one CPU idle by itself, which is half of a small machine.
CPUS = $(shell $(NODE) -p 'os.availableParallelism()' 2>/dev/null || echo 2)

.PHONY: help run build deps system-deps test-deps bench-deps check types lint unit explore integration test-systemd \
        test-launchd test-hardening test-units apps apps-install apps-sample fuzz fuzz-sample fuzz-mutations test-nodes test-npm nodes-sample test-mirror test-upgrade \
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
	@rm -rf build && npx tsc -p test/tsconfig.json && npx tsc -p src/admin/page && ln -s ../node_modules build/node_modules && cp package.json build/ && touch $@

ROOMS := $(addprefix unit/,processes costs files deploy settings core record protocol config metrics heap master worker http service-manager logging control doctor rehearse setup cli packaging admin notify jobs backplane app-api) \
	simulation support bench fuzz system/apps
tests_of = $(shell find $(addprefix test/,$(1)) -name '*.test.ts' 2>/dev/null | sed 's|^|build/|; s|\.ts$$|.js|' | sort)

# A process for each test file costs more than most of these tests: a room is one process, but where tests need a
# process of their own (the worker's handlers, the log's streams).
APART := unit/worker unit/logging
# Those that start processes again and again take longer than all others together. `make check` does without them.
STARTING := $(addprefix unit/,cli/main control/server control/client deploy/course jobs/scheduler logging/processes \
	master/reaper service-manager/unix-datagram worker/app/failures worker/app/load-app worker/app/run-process \
	worker/connections/descriptors-pause worker/drain/closing-last worker/drain/shutdown-signals)
STARTING_FILES := $(STARTING:%=build/test/%.test.js)
build/rooms/%.test.js: build/.stamp Makefile
	@mkdir -p $(@D) && find build/test/$* -name '*.test.js' -not -path '*/explore/*' $(STARTING_FILES:%=-not -path '%') | sort \
		| sed "s|^\(.*\)|import '$(CURDIR)/\1';|" > $@

ROOM_FILES := $(patsubst %,build/rooms/%.test.js,$(filter-out $(APART),$(ROOMS)))
unit: build/.stamp $(ROOM_FILES) ## Fast tests of every room
	@$(NODE) --test --test-concurrency=$(CPUS) build/test/architecture.test.js build/test/translations.test.js \
		build/test/unit/errors.test.js $(ROOM_FILES) $(filter-out $(STARTING_FILES),$(call tests_of,$(APART)))

.PHONY: test-processes
test-processes: build/.stamp ## Tests of the rooms that start processes: commands, deploys, jobs, the reaper, apps that fail
	@$(NODE) --test --test-concurrency=3 $(STARTING_FILES)

check: types lint unit ## Types, lint and unit tests: under a minute

EXPLORE = $(call tests_of,simulation/explore)
explore: build/.stamp ## The core through all interleavings to a depth, at random beyond it, and broken by hand
	@$(NODE) --test --test-concurrency=$(CPUS) $(EXPLORE)

.PHONY: explore-sample
explore-sample: build/.stamp ## The same a move less deep, and without the faults that are planted by hand
	@EXPLORE_DEEPER=-1 RANDOM_RUNS=300 $(NODE) --test --test-concurrency=$(CPUS) $(filter-out %/mutations.test.js,$(EXPLORE))

# What takes long and proves what is seldom touched runs whole in test-slow. `make integration` has these tests of it.
# A line that goes on puts a space before its `|`.
empty :=
names = $(subst $(empty) |,|,$(1))
SLOW := $(addprefix build/test/,$(addsuffix .test.js,system/packaging/install $(addprefix integration/,leaks costs sticky reload-bad \
	spares reload-releases balance evidence capture process process-kind failures logs orphans reload-long reload-signals hang \
	listen-wait memory metrics replaced poison beginning deploy serve admin watch stalls cell)))
OF_SLOW := puts the daemon, a command, a unit|tells its version with nothing|by cookie: connections find their worker\
|crashes after 2 s is rolled back|answers no request is rolled back|of an app that is exported takes over\
|go back to the old code|are handed on again and again|shows where a worker spins|spins: its stack\
|finds no flag and no message of ours|leaves no helper behind|finishes its job at a stop|because the port is in use\
|because the app throws has status|because the app never listens has status|is JSON, with the PID|that nobody reads holds up\
|the workers finish what is under way|workers that boot are|a download is finished by|another one is refused plainly\
|SIGTERM ends the service with 0|add and take away workers|in a busy loop is killed|with dispatch shared|over its limit of\
|never go back: not by|starts no worker of another build|is named once it was in flight|is over when PORT is served\
|and closes its server is|whose process is killed during|is served by every worker, and each|is HOST and PORT\
|may be a unix socket, which has|what the CPU quota|sets what the environment does not|everything that is wrong at once\
|is started again when it is killed|follows ES modules\
|dies in the cell alone\
|is told by its function, file|was stopped is no function|told nobody where health
# What takes longest comes first, so that no file is alone at the end. Four at a time: they wait about half of their time.
LONGEST := $(addprefix build/test/integration/,$(addsuffix .test.js,stop restart reload apps oom))
INTEGRATION = $(filter-out $(SLOW),$(call tests_of,integration system/packaging))
integration: build build/.stamp ## Real processes: drains, restarts, ends, hosted apps; and a sample of test-slow
	@failed=0; $(NODE) build/test/run-files.js 4 $(filter $(INTEGRATION),$(LONGEST)) $(filter-out $(LONGEST),$(INTEGRATION)) || failed=1; \
	TEST_NAMES='$(call names,$(OF_SLOW))' $(NODE) build/test/run-files.js 4 $(SLOW) || failed=1; exit $$failed

.PHONY: test-slow
test-slow: build build/.stamp test-deps ## What make test has a sample of, whole: of integration and test-systemd, and the core explored
	@failed=0; $(NODE) build/test/run-files.js 4 $(SLOW) || failed=1; $(NODE) --test $(EXPLORE) || failed=1; \
	$(NODE) --test --test-concurrency=3 $(LANES) || failed=1; exit $$failed

.PHONY: test-cell
test-cell: build build/.stamp ## 50 deaths of a suspected route in the cell, while others are asked: none of those is lost
	@CELL_CRASHES=50 $(NODE) --test build/test/integration/cell.test.js

.PHONY: test-autoscale
test-autoscale: build build/.stamp ## A number of workers that follows the load: up and down again without a loss, held by an operator, in a reload
	@$(NODE) --test --test-concurrency=1 $(call tests_of,system/autoscale)

test-launchd: build build/.stamp ## The plist, with a stand-in for launchd
	@$(NODE) --test --test-concurrency=1 $(call tests_of,system/launchd)

# One way or two of each file; what contracts the unit relies on, whole.
OF_SYSTEMD := a unit is started, seen|a memory limit holds inside|a killed worker is replaced by the master|a stopped master is noticed\
|a quiet life leaves no warning|systemctl reload under load|a broken release: reload fails|TCP and unix sockets are\
|a socket with the name control|shop/express|doctor has no problem|an app is made a service of the template|refused a port below 1024\
|systemctl start returns|an app that throws ends the start|a configuration error exits 78|a busy port is named|systemctl stop under load\
|systemd-analyze verify|the exposure of the|the unit says each thing once|the templates are what|a service that has a name shares\
|needs no socket unit|an upgrade under load cuts|the socket unit says each|what harms a Node|no placeholder is left
LANES := $(addprefix build/test/system/systemd/,first-lane.js second-lane.js third-lane.js)
.PHONY: systemd-sample
systemd-sample: build build/.stamp test-deps ## A fifth of test-systemd
	@TEST_NAMES='$(call names,$(OF_SYSTEMD))' $(NODE) build/test/run-files.js 3 $(LANES)

test-systemd: build build/.stamp test-deps ## Behaviour under a real systemd, booted in a container (root)
	@$(NODE) --test --test-concurrency=3 $(LANES)

test-hardening: build build/.stamp test-deps ## Each directive of the unit alone, and an app that runs into it, on Debian 12 and 13 (root). Ten minutes
	@$(NODE) --test build/test/system/systemd/hardening/all.test.js

.PHONY: test-rehearse
test-rehearse: build build/.stamp ## rom-agent rehearse: planted faults are named with their lines, real apps from npm have none
	@$(NODE) --test --test-concurrency=1 $(call tests_of,system/rehearse)

test-units: build build/.stamp test-deps ## Real apps from npm under the shipped unit, in a booted systemd (root): slow the first time
	@$(NODE) --test build/test/system/systemd/real-apps/all.test.js

test-proxies: build build/.stamp ## The examples for nginx and HAProxy, run by those of Debian, with reloads under load
	@sh packaging/system-deps.sh proxies
	@$(NODE) --test --test-concurrency=2 $(call tests_of,system/proxies)

proxies-sample: build build/.stamp test-deps ## One reload under load behind nginx
	@PROXIES_SAMPLE=1 $(NODE) --test --test-name-pattern='under load behind nginx' build/test/system/proxies/nginx.test.js

.PHONY: test-deploy
test-deploy: build build/.stamp test-deps ## Deploys from outside: kill -9 at each stage, a full disk, webhooks, and in a booted systemd (root)
	@$(NODE) --test --test-concurrency=2 $(call tests_of,system/deploy)

.PHONY: test-jobs
test-jobs: build build/.stamp test-deps ## Jobs under a booted systemd, with and without cgroups of their own, and with their master killed; their memory in a user-mode Linux (root)
	@sh packaging/system-deps.sh jobs
	@$(NODE) --test --test-concurrency=2 $(call tests_of,system/jobs)

.PHONY: test-install
test-install: build build/.stamp test-deps ## rom-agent install, uninstall and list in a booted systemd (root)
	@$(NODE) --test build/test/system/systemd/install/install.test.js

.PHONY: test-metrics
test-metrics: build build/.stamp ## The metrics in Debian's Prometheus: every name, alert and graph of the dashboard
	@sh packaging/system-deps.sh metrics
	@$(NODE) --test $(call tests_of,system/prometheus)

.PHONY: test-fleet
test-fleet: build build/.stamp ## Several hosts with Debian's redis-server, in network namespaces (root): hosts and Redis killed, paused, cut off
	@sh packaging/system-deps.sh redis
	@$(NODE) --test --test-concurrency=1 $(call tests_of,system/fleet)

.PHONY: test-dashboard
test-dashboard: build build/.stamp ## The dashboard in Debian's Chromium: what it shows, finds and costs; UPDATE_DOCS=1 takes the screenshots
	@sh packaging/system-deps.sh dashboard
	@$(NODE) --test --test-concurrency=1 $(call tests_of,system/dashboard)

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

apps-sample: build build/.stamp ## Five of them: Express, Koa, Fastify, Hono, Socket.IO; and what routes routers tell
	@APPS=set:sample APPS_AT_ONCE=3 $(NODE) --test build/test/system/apps/all.js build/test/system/apps/routes.js

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

.PHONY: test-queues
test-queues: build build/.stamp ## 10,000 jobs while the backplane and workers are killed, Socket.IO between workers, and the packed package as apps import it
	@$(NODE) --test --test-concurrency=1 $(call tests_of,system/queues)

test-pm2: build build/.stamp test-deps ## Beside the real PM2, which comes from npm: the daemon below it, and apps taken over (root)
	@$(NODE) --test --test-concurrency=1 $(call tests_of,system/pm2)

# Two at a time. test-systemd, which mostly waits, runs beside what computes; integration beside the small ones.
SUITES := types build -- lint integration systemd-sample unit test-processes explore-sample nodes-sample fuzz-sample apps-sample proxies-sample \
	test-launchd
test: ## Every suite, whatever fails, and what came of each at the end
	@MAKE='$(MAKE)' CLOSING='make test-slow, fuzz, apps, test-nodes and test-proxies run whole what this had a sample of' sh test/run-suites.sh $(SUITES)

reloads: build build/.stamp bench-deps ## 200 reloads under load, at the daemon, behind nginx, and of PM2
	@$(NODE) build/test/bench/reloads/main.js

faults: build build/.stamp bench-deps ## What is lost when something fails, under a real systemd, and of PM2 beside it (root)
	@$(NODE) build/test/bench/faults/main.js

bench: build build/.stamp bench-deps ## Beside PM2, Watt and bare clusters, into docs/benchmarks.md: 35 minutes; QUICK=1: 4, and only shown
	@$(NODE) build/test/bench/peers/main.js

.PHONY: bench-own bench-metrics bench-document
bench-own: build build/.stamp bench-deps ## What the daemon's own parts cost: balance, heartbeats, metrics (BENCH_ONLY)
	@$(NODE) build/test/bench/load/main.js

bench-metrics: build build/.stamp bench-deps ## CPU per request with the metrics on and off, side by side
	@BENCH_ONLY=metrics $(NODE) build/test/bench/load/main.js

bench-document: build/.stamp ## docs/benchmarks.md and its plots once more, from the rounds of the last make bench
	@$(NODE) build/test/bench/peers/main.js --document

.PHONY: test-upgrade
test-upgrade: build build/.stamp test-deps ## rom-agent upgrade in a booted systemd, under load: to another Node and another version and back, and what can go wrong (root)
	@$(NODE) --test build/test/system/systemd/upgrade/all.test.js

.PHONY: bench-overload
test-mirror: build build/.stamp ## 100 reloads of a release that fails one request in five, and 100 of a good one, with reload.mirror: a quarter of an hour
	@MIRROR_RUNS=100 $(NODE) --test build/test/integration/mirror.test.js

.PHONY: bench-routes
bench-routes: build/.stamp ## How often the route that costs or leaks is named, in 300 simulated services of each kind with fresh seeds (SEEDS=1-300)
	@$(NODE) build/test/bench/routes/main.js

bench-overload: build build/.stamp ## [shed] at three times the load that a service can bear, beside the same service without it
	@$(NODE) build/test/bench/overload/main.js

clean: ## Remove what was built
	rm -rf dist build packages

include packaging/install.mk
include packaging/packages.mk
