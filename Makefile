# The verbs of this project. `make demo` and `make test` need Python 3.11, git and make, nothing else.

PYTHON ?= $(firstword $(foreach p,python3.11 python3,$(shell command -v $(p) 2>/dev/null)))
BIN := .venv/bin
READY := .venv/.ready
PUBLIC := https://exchangeintegration.eventcadence.com

.PHONY: help demo demo-reset test check format lock clean

help: ## What can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14

$(READY): requirements-dev.txt
	@$(PYTHON) -c 'import sys, venv, ensurepip; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null \
	  || { echo "Python 3.11 with its venv module is needed (on Debian: apt-get install python3.11-venv)."; exit 1; }
	@echo "Installing into .venv (about a minute the first time) …"
	@$(PYTHON) -m venv .venv
	@$(BIN)/pip install --disable-pip-version-check --require-hashes -r requirements-dev.txt \
	  | sed -uE -n 's/^Collecting ([A-Za-z0-9_.-]+).*/  fetching \1/p; s/^(Installing collected packages).*/  installing …/p'
	@test -x $(BIN)/django-admin || { echo "The installation failed; see above."; exit 1; }
	@touch $@

demo: $(READY) ## The whole product on this machine, with a simulated Microsoft 365 (make demo PORT=8010)
	@$(BIN)/python -m demo $(if $(PORT),--port $(PORT)) $(if $(SANDBOX_HTTPS_PORT),--https-port $(SANDBOX_HTTPS_PORT)) \
	  $(if $(SANDBOX_HTTP_PORT),--http-port $(SANDBOX_HTTP_PORT))

demo-reset: $(READY) ## Forget the demo's data
	@$(BIN)/python -m demo --reset

test: $(READY) ## All tests
	$(BIN)/pytest -n auto --dist loadgroup

check: $(READY) ## Lint, types, import rules, migrations, OpenAPI, deployment settings
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy .
	$(BIN)/lint-imports
	$(BIN)/python manage.py makemigrations --check --dry-run
	$(BIN)/python manage.py spectacular --validate --fail-on-warn --file /dev/null
	PUBLIC_URL=$(PUBLIC) $(BIN)/python manage.py check --deploy --fail-level WARNING

format: $(READY) ## Put the code into the house's form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: $(READY) ## Compile requirements*.txt anew from requirements*.in
	$(BIN)/uv pip compile -q --generate-hashes --universal --python-version 3.11 --no-header requirements.in -o requirements.txt
	$(BIN)/uv pip compile -q --generate-hashes --universal --python-version 3.11 --no-header requirements-dev.in -o requirements-dev.txt

clean: ## Remove what was installed and made
	rm -rf .venv var .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
