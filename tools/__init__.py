"""What the commands and the tests run ComfyUI with: making the host, starting it, talking to it."""
