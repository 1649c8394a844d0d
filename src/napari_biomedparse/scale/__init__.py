"""Run the engine over images larger than memory and over many of them, on one machine or more."""
