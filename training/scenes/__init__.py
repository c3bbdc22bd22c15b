"""Procedural paintings for training: a scene drawn as exactly 1000 operations on a white canvas."""

from .painting import OPERATIONS, SUBJECTS, Painting

__all__ = ["OPERATIONS", "SUBJECTS", "Painting"]
