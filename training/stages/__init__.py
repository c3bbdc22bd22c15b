"""What each stage of the training brings to the loop: its network, its loss, its samples."""
