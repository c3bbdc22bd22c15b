"""How fast the pack is, and how much memory it takes. Nothing in here is part of the pack as ComfyUI loads it."""
