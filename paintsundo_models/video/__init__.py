"""What is done with frames, and files of them."""
