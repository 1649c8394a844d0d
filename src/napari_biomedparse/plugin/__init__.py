"""The napari side: turns layers into planes for the engine and results into layers."""
