"""From arrays to objects; knows nothing of windows or files."""
