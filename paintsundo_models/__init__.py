"""The two Paints-UNDO models for ComfyUI: checkpoints, networks, sampling, pictures and video, free of any node."""
