"""The adapters between the networks and ComfyUI's own objects; nothing else in the pack knows the host's model classes."""
