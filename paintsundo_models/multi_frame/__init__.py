"""The multi-frame model: sixteen frames between two pictures."""
