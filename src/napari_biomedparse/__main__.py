"""``python -m napari_biomedparse``."""

from napari_biomedparse.cli import app

app()
