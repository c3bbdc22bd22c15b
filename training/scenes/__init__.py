"""Procedural paintings for training. Each is a scene drawn in exactly 1000 operations on a white canvas."""

from .painting import OPERATIONS, SUBJECTS, Painting

__all__ = ["OPERATIONS", "SUBJECTS", "Painting"]
