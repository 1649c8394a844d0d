"""Figures of a model on annotated images."""
