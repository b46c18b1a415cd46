# `make demo` shows the main job, `make unit` tests what needs no registry in a minute, `make test` proves all of it.
# Each installs what it needs.

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin

UV = 0.13.9
UV_VENV ?= .venv-uv
# An environment with pip, for az needs it; and what is in it. uv takes a tenth of pip's time.
NEW_VENV = @$(UV_VENV)/bin/uv venv --quiet --seed --clear --python $$(command -v $(PYTHON))
INSTALL = @$(UV_VENV)/bin/uv pip install --quiet --python
# Where an environment sees the packages of another one, pip sees them too. Most modules of azure-cli are never imported:
# to compile them all takes three times as long as to install them.
PIP_INSTALL = -m pip install -qq --disable-pip-version-check --no-compile

# Many tests wait for something, so one more runs at a time than there are cores.
AT_ONCE = $(shell expr $$(nproc) + 1)

SOAK ?= 20

LOWEST = $(shell sed -n 's/.*minCliCoreVersion": "\(.*\)".*/\1/p' azext_acrprune/azext_metadata.json)
LOWEST_VENV ?= .venv-$(LOWEST)

AZDEV = 0.2.13
AZURITE = 3.35.0
AZDEV_VENV ?= .venv-azdev

COSMIC_RAY = 8.7.0
MUTANTS_VENV ?= .venv-mutants
MUTANTS ?=
SECONDS_EACH ?= 20
SEED ?= 1

PIP_AUDIT = 2.10.1
AUDIT_VENV ?= .venv-audit

# The environments are made side by side, and lint runs beside the first tests.
MAKEFLAGS += --jobs=2 --no-print-directory

# What is compiled once is not compiled again by each az that a test starts.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo report test unit pythons test-lowest soak lint azdev coverage mutations mutants audit bench simulate cassettes wheel environments clean

demo: $(VENV)/ready
	$(BIN)/python -m tests.demo

# What the demo's registry looks like in `az acr prune report`.
report: $(VENV)/ready
	$(BIN)/python -m tests.demo.report report.html

test: $(VENV)/ready .azurite/ready lint azdev test-lowest
	@$(BIN)/python -m pytest -n $(AT_ONCE) --dist worksteal
	@echo 'Passed before: lint, azdev, and the main job and every command with azure-cli $(LOWEST).'

# What needs no registry, in a minute.
unit: $(VENV)/ready
	@$(BIN)/python -m pytest -n auto --dist worksteal tests/unit tests/test_architecture.py

# The unit tests with each of these Pythons that is here, by pyenv or installed. Each gets an azure-cli of its own.
PYTHONS ?= $(foreach minor,10 11 12 13 14,$(firstword $(wildcard \
	$(HOME)/.pyenv/versions/3.$(minor).*/bin/python /usr/local/bin/python3.$(minor) /usr/bin/python3.$(minor))))
pythons:
	@for python in $(PYTHONS); do \
		version=$$($$python -c 'import sys; print("%d.%d" % sys.version_info[:2])') && echo "Python $$version" && \
		MAKEFLAGS= $(MAKE) --no-print-directory unit PYTHON=$$python VENV=.venv-python$$version || exit 1; done

# The main job, and every command once, in the oldest azure-cli that the extension says it works with.
test-lowest: $(VENV)/ready $(LOWEST_VENV)/ready
	@ACRPRUNE_AZ=$(LOWEST_VENV)/bin/az $(BIN)/python -m pytest -n auto tests/e2e/test_main_job.py tests/e2e/test_every_command.py \
		tests/e2e/test_schedules.py::test_the_life_of_a_schedule

# Random registries, policies, files and kills, so many times as many as the tests say, which is three times as many as in
# `make test`, and other ones each time. Twenty times take an hour on two cores, and once three minutes. A table at the end
# says what was done.
soak: $(VENV)/ready
	@ACRPRUNE_SOAK=$(SOAK) $(BIN)/python -m pytest -n $(AT_ONCE) -m 'hypothesis or soak' -o faulthandler_timeout=0

lint: $(VENV)/ready
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --check --quiet
	@$(BIN)/mypy --no-error-summary

# `azdev linter` and `azdev style` (pylint and flake8), with the settings that azure-cli has for extensions.
azdev: $(AZDEV_VENV)/ready
	@$(AZDEV_VENV)/bin/python -m tests.azdev

# Every line and branch of what decides is run by the unit tests, or this fails.
coverage: $(VENV)/ready
	$(BIN)/python -m pytest -n auto --cov --cov-report=term tests/unit

# Puts faults into the code one by one; each must make its test fail.
mutations: $(VENV)/ready
	$(BIN)/python -m tests.mutations

# The mutants that cosmic-ray can make of what decides and what deletes, or MUTANTS of each folder, drawn by chance. Each
# is tried on the tests that run its line, for so many seconds: twenty of them take some hours for all, six an hour.
mutants: $(MUTANTS_VENV)/ready
	@$(MUTANTS_VENV)/bin/python -m tests.mutants decide apply $(if $(MUTANTS),--number $(MUTANTS)) \
		--seconds $(SECONDS_EACH) --seed $(SEED)

# Known vulnerabilities of all that the extension installs, by a database in the internet. Where that cannot be asked, it
# fails; tests/unit/test_requirements.py has the ones that we know of.
audit: $(AUDIT_VENV)/ready
	@$(AUDIT_VENV)/bin/pip-audit --strict --progress-spinner off --requirement requirements.txt

bench: $(VENV)/ready
	$(BIN)/python -m tests.bench

# The figures of docs/scale.md: whole runs on a virtual clock, a minute for all of them.
simulate: $(VENV)/ready
	@$(BIN)/python -m tests.simulate

# What tests/wire replays, from the local registry and the local resource manager: to be looked at in the diff.
cassettes: $(VENV)/ready
	ACRPRUNE_RECORD=1 $(BIN)/python -m pytest -n 0 -q tests/wire/test_cassettes.py tests/wire/test_manager_cassettes.py

wheel: $(VENV)/ready
	rm -rf build dist
	$(BIN)/python setup.py --quiet bdist_wheel

# All that `make test` installs.
environments: $(VENV)/ready $(LOWEST_VENV)/ready $(AZDEV_VENV)/ready .azurite/ready

# Microsoft's emulator of the blob service. Without npm, its tests are skipped.
.azurite/ready:
	@mkdir -p .azurite
	@if command -v npm >/dev/null; then npm install --prefix .azurite --silent --no-audit --no-fund azurite@$(AZURITE) \
		|| echo 'Azurite could not be installed'; fi
	@touch $@

$(UV_VENV)/ready:
	@$(PYTHON) -m venv $(UV_VENV)
	@$(UV_VENV)/bin/python $(PIP_INSTALL) uv==$(UV)
	@touch $@

$(VENV)/ready: requirements.txt requirements-dev.txt | $(UV_VENV)/ready
	$(NEW_VENV) $(VENV)
	$(INSTALL) $(VENV) -r requirements-dev.txt
	@touch $@

$(LOWEST_VENV)/ready: azext_acrprune/azext_metadata.json | $(UV_VENV)/ready
	$(NEW_VENV) $(LOWEST_VENV)
	$(INSTALL) $(LOWEST_VENV) azure-cli==$(LOWEST) 'setuptools<80' 'python-dateutil<3'
	@touch $@

# azdev, beside all that the first environment has: what it looks at is imported.
$(AZDEV_VENV)/ready: requirements.txt requirements-dev.txt | $(UV_VENV)/ready
	$(NEW_VENV) $(AZDEV_VENV)
	$(INSTALL) $(AZDEV_VENV) -r requirements-dev.txt azdev==$(AZDEV)
	@touch $@

# cosmic-ray, and the packages of the first environment.
$(MUTANTS_VENV)/ready: $(VENV)/ready
	@$(PYTHON) -m venv $(MUTANTS_VENV)
	@$(BIN)/python -c 'import site; print(site.getsitepackages()[0])' > "$$($(MUTANTS_VENV)/bin/python -c 'import site; print(site.getsitepackages()[0])')/tests.pth"
	@$(MUTANTS_VENV)/bin/python $(PIP_INSTALL) cosmic-ray==$(COSMIC_RAY)
	@touch $@

$(AUDIT_VENV)/ready:
	@$(PYTHON) -m venv $(AUDIT_VENV)
	@$(AUDIT_VENV)/bin/python $(PIP_INSTALL) pip-audit==$(PIP_AUDIT)
	@touch $@

clean:
	rm -rf $(VENV) .venv-* .azurite build dist *.egg-info
