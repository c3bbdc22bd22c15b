"""From segments to the frames of a video, and writing them to files."""
