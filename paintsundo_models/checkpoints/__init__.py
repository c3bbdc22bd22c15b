"""Checkpoints on disk: reading and writing files, recognising parts, and deriving sizes from tensors."""
