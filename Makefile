# SPDX-License-Identifier: MIT
# The commands that people use. The build itself is CMake's: see CMakeLists.txt, CMakePresets.json.

JOBS ?= $(shell nproc)
ARGS ?=
FUZZ_SECONDS ?= 240
PORTS ?= 8001 8002 8003
export PORTS
export CMAKE_GENERATOR ?= $(if $(shell command -v ninja;),Ninja,Unix Makefiles)

configure = cmake --preset $(1) $(2) >/dev/null
compile = @set -e; [ -e build/$(1)/build.ninja ] || [ -e build/$(1)/Makefile ] || \
  $(call configure,$(1)); cmake --build build/$(1) --parallel $(JOBS) --target $(or $(2),all)

help: ## list these commands
	@echo "madang, a WebSocket chat gateway. Commands:"; echo
	@sed -nE 's/^([a-z]+):.*## (.*)/  make \1\t\2/p' Makefile | expand -t 20
	@echo; echo "The program takes options: make run ARGS='--listen 127.0.0.1:9000'"

run: build ## build it and start it, with ARGS
	@exec build/release/madang serve $(ARGS)

cluster: ## a redis-server and three gateways on this machine, with ARGS for each; PORTS='8001 8002 8003'
	@.ci/install build cluster
	$(call compile,release,madang)
	@exec .ci/cluster build/release/madang $(ARGS)

build: ## build/release/madang, after installing the Debian packages that are missing
	@.ci/install build
	$(call compile,release,madang)

test: ## everything that must pass before a change is done
	@.ci/install build test
	$(call compile,dev)
	$(call compile,release)
	@$(MAKE) -s tests/node_modules/.package-lock.json
	@tests/run.sh c:dev protocol:dev app:dev redis:dev cluster:dev page browser:release load:release attack:release

check: ## format, static analysis, house rules, sanitizers
	@.ci/install build test check
	@$(call configure,dev,-DMADANG_WERROR=ON)
	@$(call configure,tsan,-DMADANG_WERROR=ON)
	$(call compile,dev)
	$(call compile,tsan)
	@$(MAKE) -s tests/node_modules/.package-lock.json
	@tests/check/static.sh build/dev
	@tests/run.sh c:dev protocol:dev c:tsan protocol:tsan app:tsan

bench: ## the performance budgets, as ratios to a bare socket loop
	@.ci/install build test bench
	$(call compile,release)
	@$(MAKE) -s tests/node_modules/.package-lock.json tests/load/rivals/node_modules/.package-lock.json
	@MADANG_BIN=build/release/madang MADANG_LOAD=build/release/madang-load node tests/load/bench.mjs

torture: ## the long versions of the tests, FUZZ_SECONDS of each fuzzer, SOAK_SECONDS of steady load
	@.ci/install build test check
	$(call compile,dev)
	$(call compile,release)
	$(call compile,fuzz)
	@$(MAKE) -s tests/node_modules/.package-lock.json
	@tests/fuzz/search.sh build/fuzz $(FUZZ_SECONDS) $(JOBS)
	@MADANG_TORTURE=1 tests/run.sh c:dev protocol:dev app:dev redis:dev cluster:dev page browser:release load:release attack:release

clean: ## remove what was built, and the packages that npm fetched
	rm -rf build web/node_modules tests/node_modules tests/load/rivals/node_modules

%/node_modules/.package-lock.json: %/package-lock.json
	cd $* && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

.PHONY: help run cluster build test check bench torture clean
