"""The package as it is installed: light to import, pointing one way, whole in a wheel."""

import ast
import os
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from typer.testing import CliRunner

from napari_biomedparse.cli import app
from tests.conftest import ROOT

SOURCE = ROOT / "src/napari_biomedparse"

# What each part of the package may import of the others, besides itself.
ALLOWED = {
    "files": set(),
    "model": {"files"},
    "ontology": set(),
    "weights": {"files", "model"},
    "engine": {"model", "ontology", "weights"},
    "io": {"engine", "files"},
    "training": {"engine", "files", "model", "ontology"},
    "evaluation": {"engine", "ontology", "training"},
    "harmonise": {"engine", "files", "io", "ontology"},
    "by_file": {"engine", "io", "ontology"},
    "scale": {"engine", "files", "io", "model", "ontology", "weights"},
    "plugin": {"engine", "files", "io", "ontology", "scale", "training", "weights"},
}
FOREIGN = {
    "files": {"napari", "qtpy", "superqt", "magicgui", "torch", "numpy", "PIL"},
    "model": {"napari", "qtpy", "superqt", "magicgui", "skimage", "PIL", "huggingface_hub"},
    "weights": {"napari", "qtpy", "superqt", "magicgui", "torch"},
    "harmonise": {"napari", "qtpy", "superqt", "magicgui", "torch"},
    "engine": {"napari", "qtpy", "superqt", "magicgui"},
    "ontology": {"napari", "qtpy", "superqt", "magicgui", "torch"},
    "scale": {"napari", "qtpy", "superqt", "magicgui"},
    "io": {"napari", "qtpy", "superqt", "magicgui", "torch"},
    "plugin": {"torch", "transformers"},
}


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    return found


@pytest.mark.parametrize("part", ALLOWED)
def test_dependencies_point_one_way(part):
    files = list((SOURCE / part).rglob("*.py"))
    assert files
    for path in files:
        for name in imports(path):
            top, _, rest = name.partition(".")
            if top == "napari_biomedparse" and rest:
                target = rest.split(".")[0]
                assert target in {part, "errors", *ALLOWED[part]}, f"{path.name} imports {name}"
            assert top not in FOREIGN.get(part, set()), f"{path.name} imports {name}"


def test_what_a_user_can_mend_is_one_kind_of_error():
    bases: dict[str, list[str]] = {}
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef) and node.name.endswith("Error"):
                bases[node.name] = [base.id for base in node.bases if isinstance(base, ast.Name)]
    assert len(bases) > 20

    def is_ours(name: str) -> bool:
        return name == "BiomedParseError" or any(map(is_ours, bases.get(name, ())))

    assert [name for name in bases if not is_ours(name)] == ["_BusyError"]


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_the_package_loads_neither_torch_nor_qt_nor_napari():
    heavy = "{'torch', 'transformers', 'qtpy', 'PySide6', 'napari', 'skimage', 'numpy'}"
    assert run(f"import sys, napari_biomedparse as n; print({heavy} & set(sys.modules))") == "set()\n"
    assert "torch" in run("import sys; from napari_biomedparse import Predictor; print(*sys.modules)").split()


def test_the_engine_runs_without_qt_and_napari():
    code = """
import sys
for name in ("napari", "qtpy", "PySide6", "PyQt6"):
    sys.modules[name] = None
import numpy as np
from napari_biomedparse import Predictor, compose_labels
masks = Predictor.from_pretrained("mini", device="cpu").segment(np.ones((16, 16)), ["nuclei"])
print(compose_labels(masks).values.shape)
"""
    assert run(code) == "(16, 16)\n"


def test_the_command_tells_its_version():
    done = CliRunner().invoke(app, ["--version"])
    assert (done.exit_code, done.stdout) == (0, f"napari-biomedparse {metadata.version('napari-biomedparse')}\n")


def test_opening_the_dock_does_not_import_torch():
    code = "import sys, napari_biomedparse.plugin.dock; print('torch' in sys.modules)"
    assert run(code) == "False\n"


def test_every_public_name_is_there():
    import napari_biomedparse

    assert set(napari_biomedparse.__all__) <= set(dir(napari_biomedparse))
    assert all(getattr(napari_biomedparse, name) for name in napari_biomedparse.__all__)
    with pytest.raises(AttributeError, match="nonsense"):
        _ = napari_biomedparse.nonsense


def test_the_manifest_is_valid():
    from npe2 import PluginManifest

    manifest = PluginManifest.from_distribution("napari-biomedparse")
    assert manifest.name == "napari-biomedparse"
    manifest.validate_imports()


def test_a_wheel_holds_manifest_and_resources_and_works_from_there(tmp_path):
    """Builds sdist, then a wheel from it as pip does, and runs the engine from the unpacked wheel."""
    build = [sys.executable, "-m", "hatchling", "build", "-d", tmp_path, "-t"]
    subprocess.run([*build, "sdist"], cwd=ROOT, check=True, capture_output=True)
    (sdist,) = tmp_path.glob("*.tar.gz")
    subprocess.run([sys.executable, "-m", "tarfile", "-e", sdist, tmp_path / "sdist"], check=True)
    (unpacked,) = (tmp_path / "sdist").iterdir()
    subprocess.run([*build, "wheel"], cwd=unpacked, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        archive.extractall(tmp_path / "site")
    assert len(names) == len(set(names))
    for name in ("napari.yaml", "resources/models/mini.safetensors", "resources/ontology/objects.json"):
        assert f"napari_biomedparse/{name}" in names
    code = (
        "import numpy as np, napari_biomedparse as n; "
        "n.Predictor.from_pretrained('mini', 'cpu').segment(np.ones((9, 9)), ['nuclei']); print(n.__file__)"
    )
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "site")}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert str(tmp_path / "site") in done.stdout
