"""What is done with single pictures: reading, sizes, cropping, tags."""
