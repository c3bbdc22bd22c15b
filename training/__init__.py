"""Training of small checkpoints of both models, the pictures that they are trained on, and their evaluation."""
