"""Where weights come from: the package, a path, or the hub."""

from napari_biomedparse.weights.locate import locate

__all__ = ["locate"]
