"""Training of small stand-in models: the pictures they learn from and the steps that make them."""
