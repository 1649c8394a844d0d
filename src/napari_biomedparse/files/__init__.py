"""Files that are whole or not there, and the names of those of a data set, for all other parts."""
