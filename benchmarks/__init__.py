"""Measurements of the pack's time and memory. ComfyUI does not load this package."""
