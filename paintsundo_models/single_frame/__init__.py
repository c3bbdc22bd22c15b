"""The single-frame model: the picture as it was at one operation step."""
