# Two commands for a fresh machine with Python and make: `make demo` and `make test`.
PYTHON ?= python3
VENV ?= .venv
OLDEST ?= .venv-oldest
BIN := $(VENV)/bin
OUTPUT ?= demo-output

.PHONY: demo test test-oldest check clean

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

# Tests run side by side; their threads must not keep the processor busy while they wait for one another.
AT_ONCE ?= -n logical --maxprocesses 4 --dist worksteal
test test-oldest: export OMP_WAIT_POLICY = passive

test: $(VENV)/.dev
	@command -v Xvfb >/dev/null || [ -n "$$DISPLAY" ] || [ "$$(uname)" != Linux ] || \
	    { echo "The window tests need a virtual display: install the system packages named in README.md."; exit 1; }
	$(BIN)/python -m pytest $(AT_ONCE) --durations=20

# An environment of its own with the oldest supported napari and PyQt6, in which the tests of all controls run once more;
# OLDEST_TESTS=tests/plugin runs all of the window's.
OLDEST_TESTS ?= $(addprefix tests/plugin/,test_dock_controls.py test_layers.py test_settings.py widgets)

$(OLDEST)/.dev: pyproject.toml constraints.txt constraints-oldest.txt
	$(PYTHON) -m venv $(OLDEST)
	awk -F== 'NR == FNR {differs[$$1]; next} !($$1 in differs)' constraints-oldest.txt constraints.txt \
	    > $(OLDEST)/constraints.txt
	$(OLDEST)/bin/python -m pip install -q --no-compile -c $(OLDEST)/constraints.txt \
	    -r constraints-oldest.txt -e ".[export,io]" hypothesis pytest pytest-qt pytest-timeout pytest-xdist pytest-xvfb
	touch $@

test-oldest: $(OLDEST)/.dev
	QT_API=pyqt6 $(OLDEST)/bin/python -m pytest $(AT_ONCE) -o qt_api=pyqt6 $(OLDEST_TESTS)

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/npe2 validate napari-biomedparse

clean:
	rm -rf $(VENV) $(OLDEST) $(OUTPUT) dist
