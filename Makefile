# The two to know: `make run` and `make test`. Everything is installed below .venv.

.NOTPARALLEL:
.PHONY: run test test-slow lint types lock bench translations clean deps test-deps components

# Set in many containers: every start would then compile everything anew.
unexport PYTHONDONTWRITEBYTECODE

VENV := .venv
BIN := $(VENV)/bin
NODE_TESTS := tests/real/node
LANGUAGES := ja
TRANSLATIONS := templates/translations

# The locks are complete, so nothing needs resolving; compiling is left to the first import.
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input \
    --no-deps --no-compile --require-hashes --requirement
COMPILE := CUSTOM_COMPILE_COMMAND="make lock" PIP_FIND_LINKS= $(BIN)/pip-compile --quiet \
    --generate-hashes --strip-extras --no-emit-index-url --no-emit-find-links \
    --no-emit-trusted-host --no-emit-options $(UPGRADE)

# Starting takes three times as long when every process compiles its modules anew.
unexport PYTHONDONTWRITEBYTECODE

# --- running

run: deps
	@exec $(BIN)/sekisho demo

# The newest Python that can make virtual environments; PYTHON=... names another one.
$(BIN)/pip:
	@for python in $(PYTHON) python3.13 python3.12 python3.11 python3; do \
	    if "$$python" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' \
	        2>/dev/null; then \
	        echo "Making $(VENV) with $$("$$python" --version) ..."; \
	        exec "$$python" -m venv --clear $(VENV); \
	    fi; \
	done; \
	echo "Sekisho needs Python 3.11 or newer with its venv module (Debian: python3-venv)." >&2; \
	exit 1

# A lock is installed when the environment holds a copy of it; the test lock contains the other.
# The project itself is one line in a .pth file and a script: building it would take longer
# than everything else of a second start.
deps: $(BIN)/pip $(BIN)/sekisho
	@cmp -s requirements.lock $(VENV)/requirements.lock || { \
	    echo "Installing the pinned dependencies, once ..." && \
	    $(INSTALL) requirements.lock && \
	    cp requirements.lock $(VENV)/requirements.lock; }

$(BIN)/sekisho: Makefile | $(BIN)/pip
	@echo "$(CURDIR)" > "$$($(BIN)/python -c \
	    'import sysconfig; print(sysconfig.get_path("purelib"))')/sekisho.pth"
	@printf '%s\n' '#!$(CURDIR)/$(BIN)/python' 'import sys' 'from idp.cli import main' \
	    'sys.exit(main())' > $@
	@chmod +x $@

# --- testing

test: test-deps lint types
	$(BIN)/pytest -n auto -m "not slow"

# Races, faults and load: two at a time, for most of it is waiting; more would be a test of the
# machine.
test-slow: test-deps
	$(BIN)/pytest -n 2 -m slow

lint: test-deps
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports

types: test-deps
	$(BIN)/mypy

test-deps: components deps
	@cmp -s requirements-test.lock $(VENV)/requirements-test.lock || { \
	    echo "Installing the pinned test tools, once ..." && \
	    $(INSTALL) requirements-test.lock && \
	    cp requirements-test.lock $(VENV)/requirements-test.lock; }
	@if [ -f $(NODE_TESTS)/package-lock.json ] && command -v npm >/dev/null; then \
	    cd $(NODE_TESTS) && { cmp -s package-lock.json node_modules/.installed.json || { \
	    npm ci --ignore-scripts --no-audit --no-fund --loglevel=error && \
	    cp package-lock.json node_modules/.installed.json; }; }; fi

# As root on Debian what is missing is installed; otherwise the tests that need it are skipped.
components:
	@[ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null || exit 0; \
	missing=; want() { missing="$$missing $$*"; }; \
	command -v redis-server >/dev/null || want redis-server; \
	ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || want postgresql; \
	command -v chromium >/dev/null || want chromium; \
	dpkg -s fonts-noto-cjk >/dev/null 2>&1 || want fonts-noto-cjk; \
	command -v node >/dev/null || want nodejs; \
	command -v npm >/dev/null || want npm; \
	[ -x $(BIN)/pip ] || python3 -c 'import ensurepip' 2>/dev/null || want python3-venv; \
	[ -n "$$missing" ] || exit 0; \
	echo "Installing for the tests:$$missing"; \
	export DEBIAN_FRONTEND=noninteractive; \
	apt-get update -qq && apt-get install -y -qq --no-install-recommends $$missing >/dev/null || \
	    echo "apt-get failed: the tests that need$$missing are skipped." >&2

# --- upkeep

# Keeps what is locked where setup.cfg still allows it; UPGRADE=--upgrade takes the newest.
lock: test-deps
	@$(BIN)/python -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || \
	    { echo "Lock with Python 3.11, the oldest supported: it needs the most." >&2; exit 1; }
	$(COMPILE) --output-file requirements.lock setup.cfg
	$(COMPILE) --extra test --allow-unsafe --constraint requirements.lock \
	    --output-file requirements-test.lock setup.cfg

bench: test-deps
	$(BIN)/python -m bench

# New texts are added without a guess at their translation, those gone are removed; of the
# header only what a reader needs is kept.
translations: test-deps
	@mkdir -p build
	$(BIN)/pybabel -q extract --mapping-file $(TRANSLATIONS)/babel.cfg --no-wrap --no-location \
	    --add-comments "Translators:" --strip-comments \
	    --keywords lazy_gettext --project Sekisho --copyright-holder "The Sekisho authors" \
	    --output-file build/messages.pot .
	@for language in $(LANGUAGES); do \
	    if [ -f $(TRANSLATIONS)/$$language/LC_MESSAGES/messages.po ]; then \
	        set -- update --no-fuzzy-matching --ignore-obsolete --ignore-pot-creation-date; \
	    else set -- init; fi; \
	    $(BIN)/pybabel -q "$$@" --no-wrap --input-file build/messages.pot \
	        --output-dir $(TRANSLATIONS) --locale $$language && \
	    sed -i -e '/^"\(Report\|POT-\|PO-\|Last-\|Language-Team\|Generated\)/d' \
	        -e 's/^"Project-Id-Version:  */"Project-Id-Version: /' \
	        $(TRANSLATIONS)/$$language/LC_MESSAGES/messages.po; \
	done

clean:
	rm -rf $(VENV) build dist *.egg-info .hypothesis .import_linter_cache .mypy_cache \
	    .pytest_cache .ruff_cache $(NODE_TESTS)/node_modules
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
