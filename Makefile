# The verbs of this project. `make demo` and `make test` need Python 3.11, git and make, nothing else.

PYTHON ?= $(firstword $(foreach p,python3.11 python3,$(shell command -v $(p) 2>/dev/null)))
BIN := .venv/bin
READY := .venv/.ready
DEMO_READY := .venv/.ready-for-the-demo
PEERS := .venv-peers/bin
PEERS_READY := .venv-peers/.ready
SHELL := /bin/bash
PYTEST := -q -n auto --dist loadgroup
PUBLIC := https://exchangeintegration.eventcadence.com

.PHONY: help demo demo-reset test check format screenshots lock clean docs translations bench bench-peers bench-load bench-sweep \
  bench-admin growth figures simulate-year kill-worker

help: ## What can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14

# $(call install,FILE): what FILE pins, into the venv that the target lies in; a line a package, so that the wait can be watched.
define install
	@$(PYTHON) -c 'import sys, venv, ensurepip; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null \
	  || { echo "Python 3.11 with its venv module is needed (on Debian: apt-get install python3.11-venv)."; exit 1; }
	@echo "Installing $(1) into $(@D) …"
	@$(PYTHON) -m venv $(@D)
	@set -o pipefail; $(@D)/bin/pip install --disable-pip-version-check --require-hashes -r $(1) \
	  | sed -uE -n 's/^Collecting ([A-Za-z0-9_.-]+).*/  fetching \1/p; s/^(Installing collected packages).*/  installing …/p'
	@touch $@
endef

$(DEMO_READY): requirements-demo.txt
	$(call install,requirements-demo.txt)

$(READY): requirements-dev.txt
	$(call install,requirements-dev.txt)

$(PEERS_READY): requirements-peers.txt
	$(call install,requirements-peers.txt)

demo: $(DEMO_READY) ## The whole product on this machine, with a simulated Microsoft 365 (make demo PORT=8010)
	@$(BIN)/python -m demo $(if $(PORT),--port $(PORT)) $(if $(SANDBOX_HTTPS_PORT),--https-port $(SANDBOX_HTTPS_PORT)) \
	  $(if $(SANDBOX_HTTP_PORT),--http-port $(SANDBOX_HTTP_PORT))

demo-reset: $(DEMO_READY) ## Forget the demo's data
	@$(BIN)/python -m demo --reset

# What the database, the cache or the broker could change runs a second time on real PostgreSQL and Redis.
ON_SERVICES := tests/tenants tests/freebusy tests/alerts tests/webhooks tests/console tests/journeys tests/processes --ignore=tests/freebusy/core

test: $(READY) ## All tests: embedded, then on throwaway PostgreSQL and Redis
	$(BIN)/pytest $(PYTEST)
	$(BIN)/python -m tests.services $(BIN)/pytest $(PYTEST) $(ON_SERVICES)

check: $(READY) ## Lint, types, import rules, migrations, OpenAPI, deployment settings
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy .
	$(BIN)/lint-imports
	$(BIN)/python manage.py makemigrations --check --dry-run
	$(BIN)/python manage.py spectacular --validate --fail-on-warn --file /dev/null
	PUBLIC_URL=$(PUBLIC) EMAIL_URL=console:// SUPPORT_EMAIL=support@example.com \
	  $(BIN)/python manage.py check --deploy --fail-level WARNING

format: $(READY) ## Put the code into the house's form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(READY) ## Write the pages that are made from the code
	PYTHONUTF8=1 $(BIN)/python -m microsoft.reasons_document > docs/reasons.md
	PYTHONUTF8=1 $(BIN)/python -m microsoft.reasons_document docs/operations.md

screenshots: $(READY) ## Take the pictures of docs/screenshots anew (needs Chromium: apt-get install chromium)
	$(BIN)/python -m tests.browser.screenshots docs/screenshots

translations: $(READY) ## Bring the translations up to date with the texts, and compile them
	$(BIN)/python manage.py translations

lock: $(READY) ## Compile requirements*.txt anew from requirements*.in
	for name in requirements requirements-demo requirements-dev requirements-peers; do \
	  $(BIN)/uv pip compile -q --generate-hashes --universal --python-version 3.11 --no-header $$name.in -o $$name.txt || exit 1; \
	done

bench: $(READY) $(PEERS_READY) ## Answers of Graph to intervals, search, Graph's quota: ratios and counts in minutes (figures: var/bench.json)
	$(BIN)/python -m benchmarks --json var/bench.json

bench-peers: $(PEERS_READY) ## The search beside PostgreSQL, portion, intervaltree, pandas … (figures: var/bench-peers.json)
	$(PEERS)/python -m benchmarks.peers --json var/bench-peers.json

bench-load: $(READY) ## Searches through gunicorn beside a bare view, one and two web processes (figures: var/bench-load.json)
	$(BIN)/python -m benchmarks.serving --json var/bench-load.json

growth: $(READY) ## Time, calls and memory of 10 to 10,000 mailboxes, drawn anew: docs/growth.svg and docs/growth.csv
	$(BIN)/python -m benchmarks.growth docs --json var/growth.json

bench-sweep: $(READY) ## Refreshes and probes of 10,000 connections, on SQLite and on PostgreSQL (figures: var/bench-sweep.json)
	@mkdir -p var
	$(BIN)/python -m benchmarks.sweep --json var/bench-sweep.json

bench-admin: $(READY) ## Landing page and account list with 10,000 accounts on PostgreSQL, against an empty list
	@mkdir -p var
	$(BIN)/python -m benchmarks.admin_pages --json var/bench-admin.json

figures: $(READY) ## Put the last figures under var/ into benchmarks/README.md
	$(BIN)/python -m benchmarks.figures

# Two installations share the customers, each on a core of its own; SHARES=1/1 has them all in one, for twice the time.
simulate-year: $(READY) ## A year of 220 customers, outages and repairs, with the real engine (STORY_SEED=2 for another one)
	@for share in $(or $(SHARES),1/2 2/2); do \
	  SIMULATED_DAYS=365 STORY_SHARE=$$share DATABASE_URL=sqlite:///var/year/$${share/\//-of-}/cadence.sqlite3 \
	    $(BIN)/pytest -q -p no:cacheprovider tests/year & running+=" $$!"; \
	done; \
	failed=0; for one in $$running; do wait $$one || failed=1; done; exit $$failed

kill-worker: $(READY) ## Kill -9 of a worker at 50 random moments (KILLS=50), each refresh token good for one use
	KILLS=$(or $(KILLS),50) $(BIN)/pytest -q tests/processes/test_killed_worker.py

clean: ## Remove what was installed and made
	rm -rf .venv .venv-peers var .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
