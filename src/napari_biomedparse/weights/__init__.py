"""Where weights come from: the package, a path, this project's models folder, or the Hugging Face hub."""

from napari_biomedparse.weights.locate import locate

__all__ = ["locate"]
