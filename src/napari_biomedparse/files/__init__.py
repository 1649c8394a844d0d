"""Files that are whole or not there, for all other parts."""
