"""Run the engine over files without a window."""
