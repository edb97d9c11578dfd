# Everything a developer or CI does. `make` alone lists it.
# Needs Go and make; what else a target needs, it makes, fetches or says.

SHELL = /bin/sh
.DEFAULT_GOAL = help
.SUFFIXES:

GO      ?= go
OUT      = .build
TOOLS    = .tools

# A version and a commit where there is a repository to ask; the program's own
# word for "built by hand" where there is none.
TAG      = $(shell git describe --tags --dirty --match 'v*' 2>/dev/null | sed 's/^v//')
STAMP    = $(shell git rev-parse HEAD >/dev/null 2>&1 && echo auto || echo false)
VERSION ?= $(TAG)
LDFLAGS  = $(if $(VERSION),-X main.version=$(VERSION))

# How much: make fuzz FUZZTIME=5m, make test TESTFLAGS='-run Drain', make bench BENCH=Decide
FUZZTIME  ?= 10s
BENCH     ?= .
COUNT     ?= 6
SEEDS     ?= 10000
SCALE     ?= 1
TESTFLAGS ?=
ARGS      ?=

##@ Use

.PHONY: run
run: build ## start a gateway on 127.0.0.1:4100 (ARGS='--listen …' for serve's flags)
	@exec ./llmgw serve $(ARGS)

.PHONY: build
build: ## build ./llmgw
	CGO_ENABLED=0 $(GO) build -buildvcs=$(STAMP) -ldflags '$(LDFLAGS)' -o ./ ./cmd/llmgw

.PHONY: image
image: ## build the container image llmgw:dev (needs docker or podman running)
	@engine=$$(for e in docker podman; do $$e info >/dev/null 2>&1 && echo $$e && break; done); \
	if [ -z "$$engine" ]; then echo "make image: neither docker nor podman answers here" >&2; exit 1; fi; \
	$$engine build -f deploy/Dockerfile -t llmgw:dev $(if $(VERSION),--build-arg VERSION=$(VERSION)) .

##@ Test

.PHONY: test
test: $(TOOLS)/gotestsum ## every test, with the race detector; installs what the tests need where it may
	@GO='$(GO)' GOTESTSUM='$(TOOLS)/gotestsum' sh tools/test.sh $(TESTFLAGS) ./...
	@[ -n '$(TESTFLAGS)' ] || $(MAKE) --no-print-directory simulation

.PHONY: simulation
simulation: ## nodes that change, fail and follow each other, by SEEDS (10000), without the race detector (about 3 min)
	LLMGW_TEST_SEEDS=$(SEEDS) $(GO) test -count=1 -timeout 30m -v -run '^(TestSimulation|TestTheSimulationFindsWhatIsBroken)$$' ./store -rapid.checks=500

.PHONY: e2e
e2e: build ## the program as its user sees it: scripts, curl, and the npm and Python clients
	$(GO) test -count=1 -run 'Script' ./cmd/llmgw
	sh tools/e2e.sh ./llmgw
	sh tools/clients.sh ./llmgw

.PHONY: e2e-agents
e2e-agents: build ## Claude Code and Codex through `llmgw run` (fetches 640 MB, once)
	sh tools/agents.sh ./llmgw

.PHONY: fuzz
fuzz: ## every fuzz target for FUZZTIME (10s)
	@GO='$(GO)' sh tools/fuzz.sh '$(FUZZTIME)'

.PHONY: bench
bench: $(TOOLS)/benchstat ## benchmarks into .build/bench.txt, compared with BASE=file where given
	@mkdir -p $(OUT)
	$(GO) test -run '^$$' -bench '$(BENCH)' -benchmem -count $(COUNT) ./... >$(OUT)/bench.txt || { cat $(OUT)/bench.txt; exit 1; }
	$(TOOLS)/benchstat $(BASE) $(OUT)/bench.txt

.PHONY: bench-gateway
bench-gateway: ## what the built gateway costs beside the standard library's proxy (Linux, about 8 min)
	@mkdir -p $(OUT); $(GO) build -o $(OUT)/bench ./bench
	@set -e; for what in requests chunks paced cut leave idle events logins ready; do echo "== $$what"; $(OUT)/bench $$what; done

.PHONY: bench-cut
bench-cut: ## 100,000 streams while the CPU is oversubscribed; fails where one is cut (about 1 min)
	$(GO) run ./bench cut

.PHONY: h2spec
h2spec: $(TOOLS)/h2spec ## HTTP/2 conformance, beside Go's own server in the same run (about 1 min)
	$(GO) run ./bench h2spec -tool $(TOOLS)/h2spec

.PHONY: bench-slow
bench-slow: ## requests beside 5,000 slow connections; fails where one notices (Linux, about 90 s)
	$(GO) run ./bench slow

.PHONY: chaos
chaos: ## three gateways while PostgreSQL, Redis and they themselves fail; prints figures beside their aims, fails where one is missed (about 25 min; SCALE=0.1 is shorter)
	$(GO) run ./bench chaos -scale $(SCALE) $(ARGS)

.PHONY: cover
cover: ## coverage by package, and .build/cover.html
	@mkdir -p $(OUT)
	$(GO) test -coverpkg ./... -coverprofile $(OUT)/cover.out ./...
	$(GO) tool cover -html $(OUT)/cover.out -o $(OUT)/cover.html
	@$(GO) tool cover -func $(OUT)/cover.out | tail -n 1

##@ Check

CHECKS = fmt-check vet build cross lint layers tidy-check release-check

.PHONY: check
check: ## what CI does before the tests, in its order, with the time of each step
	@set -e; for step in $(CHECKS); do \
		echo "=== $$step"; begun=$$(date +%s); \
		$(MAKE) --no-print-directory $$step; \
		echo "=== $$step took $$(($$(date +%s) - begun)) s"; \
	done

.PHONY: fmt-check
fmt-check:
	@unformatted=$$(gofmt -l $$(find . -name '*.go' -not -path './.*')) || exit 1; \
	if [ -n "$$unformatted" ]; then echo "not gofmt'ed (make fmt):"; echo "$$unformatted"; exit 1; fi

.PHONY: vet
vet:
	$(GO) vet ./...

.PHONY: cross
cross: ## build for the other systems of a release
	@set -e; for target in darwin/arm64 windows/amd64 linux/arm64; do \
		echo "building for $$target"; \
		CGO_ENABLED=0 GOOS=$${target%/*} GOARCH=$${target#*/} $(GO) build -buildvcs=false -o /dev/null ./...; \
	done

.PHONY: lint
lint: $(TOOLS)/golangci-lint $(TOOLS)/deadcode ## golangci-lint, and functions that nothing reaches
	$(TOOLS)/golangci-lint config verify
	$(TOOLS)/golangci-lint run ./...
	@dead=$$($(TOOLS)/deadcode -test ./...) || exit 1; \
	if [ -n "$$dead" ]; then echo "nothing reaches these:"; echo "$$dead"; exit 1; fi

.PHONY: layers
layers: ## who imports whom, and that README, CI and Dockerfiles agree with the code
	$(GO) test .

.PHONY: tidy-check
tidy-check:
	$(GO) mod tidy -diff

.PHONY: release-check
release-check: $(TOOLS)/goreleaser ## goreleaser's view of .goreleaser.yaml
	$(TOOLS)/goreleaser check --quiet

.PHONY: fmt
fmt: $(TOOLS)/golangci-lint ## gofmt and goimports, written
	$(TOOLS)/golangci-lint fmt

##@ House

.PHONY: clean
clean: ## remove what was built (not .tools, which takes minutes to make)
	rm -rf $(OUT) llmgw llmgw.exe

.PHONY: help
help: ## this list
	@awk 'BEGIN {FS = ":.*## "} \
		/^##@ / {printf "\n%s\n", substr($$0, 5)} \
		/^[a-z0-9-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))
	@echo

# Tools of one version each, built once into .tools. They have modules of their
# own, so that their dependencies are never those of llmgw; goreleaser has one
# for itself, because its versions of them disagree with golangci-lint's.
$(TOOLS)/golangci-lint: PKG = github.com/golangci/golangci-lint/v2/cmd/golangci-lint
$(TOOLS)/gotestsum:     PKG = gotest.tools/gotestsum
$(TOOLS)/benchstat:     PKG = golang.org/x/perf/cmd/benchstat
$(TOOLS)/deadcode:      PKG = golang.org/x/tools/cmd/deadcode

$(TOOLS)/golangci-lint $(TOOLS)/gotestsum $(TOOLS)/benchstat $(TOOLS)/deadcode: tools/go.mod tools/go.sum
	@echo "building $(@F) (once)"
	@mkdir -p $(TOOLS)
	@cd tools && $(GO) build -buildvcs=false -o ../$@ $(PKG) && touch ../$@

$(TOOLS)/h2spec: tools/h2spec/go.mod tools/h2spec/go.sum
	@echo "building $(@F) (once)"
	@mkdir -p $(TOOLS)
	@cd tools/h2spec && $(GO) build -buildvcs=false -o ../../$@ github.com/summerwind/h2spec/cmd/h2spec && touch ../../$@

$(TOOLS)/goreleaser: tools/release/go.mod tools/release/go.sum
	@echo "building $(@F) (once)"
	@mkdir -p $(TOOLS)
	@cd tools/release && $(GO) build -buildvcs=false -o ../../$@ github.com/goreleaser/goreleaser/v2 && touch ../../$@
