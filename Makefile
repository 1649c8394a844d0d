# Two commands for a fresh machine with Python and make: `make demo` and `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
OUTPUT ?= demo-output

.PHONY: demo test check clean

$(VENV)/.demo: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q -c constraints.txt -e ".[all]"
	touch $@

$(VENV)/.dev: $(VENV)/.demo
	$(BIN)/python -m pip install -q -c constraints.txt -e ".[dev]"
	touch $@

# With DEMO=napari and a display, `make demo` opens napari; otherwise it segments the nuclei of two bundled images.
DISPLAYED := $(or $(DISPLAY),$(WAYLAND_DISPLAY),$(filter-out Linux,$(shell uname)))

demo: $(VENV)/.demo
ifeq ($(and $(filter napari,$(DEMO)),$(DISPLAYED)),)
	$(BIN)/napari-biomedparse segment resources/samples/fluorescent_nuclei.png resources/samples/histology.png \
	    --prompt nuclei --instances --overlay --overwrite --output $(OUTPUT)
else
	$(BIN)/napari resources/samples/fluorescent_nuclei.png --with napari-biomedparse "Segment with words"
endif

test: $(VENV)/.dev
	@command -v Xvfb >/dev/null || [ -n "$$DISPLAY" ] || [ "$$(uname)" != Linux ] || \
	    { echo "The window tests need a virtual display: install the system packages named in README.md."; exit 1; }
	$(BIN)/python -m pytest

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/npe2 validate napari-biomedparse

clean:
	rm -rf $(VENV) $(OUTPUT) dist
