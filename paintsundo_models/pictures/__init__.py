"""Work on single pictures: checking inputs, sizes, resizing and cropping, tags."""
