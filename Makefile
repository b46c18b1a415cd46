# Two commands: `make demo` shows the main job, `make test` proves it. Both install what they need.

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin

.PHONY: demo test lint bench wheel clean

demo: $(VENV)/ready
	$(BIN)/python -m tests.demo

test: $(VENV)/ready lint
	$(BIN)/python -m pytest

lint: $(VENV)/ready
	$(BIN)/flake8 azext_acrprune tests setup.py
	$(BIN)/pylint --jobs 2 azext_acrprune

bench: $(VENV)/ready
	$(BIN)/python -m tests.bench

wheel: $(VENV)/ready
	rm -rf build dist
	$(BIN)/python setup.py --quiet bdist_wheel

$(VENV)/ready: requirements-dev.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info
