TOOL     = go tool -modfile=tools/go.mod
FUZZTIME ?= 30s

.DEFAULT_GOAL := help
.PHONY: help run test race browser lint fmt bench fuzz screenshots build ci

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## start Roster on http://localhost:8080 with a SQLite file
	go run ./cmd/roster serve

test: ## run the tests
	go test ./...

race: ## run the tests with the race detector, which needs a C compiler
	go test -race ./...

browser: ## run all tests of the console in Chromium
	ROSTER_TEST_BROWSER=$$(command -v chromium || command -v google-chrome) go test -count=1 ./test/console

lint: ## run go vet and golangci-lint
	go vet ./...
	$(TOOL) golangci-lint run

fmt: ## format the code
	$(TOOL) gofumpt -w .

bench: ## measure the service under load
	go run ./test/bench

fuzz: ## run each fuzz target for FUZZTIME (30s)
	@grep -rEo --include='*_test.go' '^func Fuzz[A-Za-z0-9_]+' . | while IFS=: read -r file func; do \
		target=$${func#func }; echo "== $$(dirname $$file) $$target"; \
		go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) ./$$(dirname $$file) </dev/null || exit 1; \
	done

screenshots: ## write pictures of the console, and the first paint, to docs/console; needs Chromium
	ROSTER_SCREENSHOTS=$(CURDIR)/docs/console go test -count=1 -run '^(TestScreenshots|TestFirstPaint)$$' ./test/console

build: ## build bin/roster, a static binary
	CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o bin/roster ./cmd/roster

ci: ## run all checks of CI
	.ci/run
