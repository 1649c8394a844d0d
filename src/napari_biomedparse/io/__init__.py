"""Image files in, label files and tables out."""
