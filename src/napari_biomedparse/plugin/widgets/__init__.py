"""Small widgets of the dock, one per file."""
