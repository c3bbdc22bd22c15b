"""What lies on disk: files, the parts in them, and what their tensors say."""
