"""Windows: atomic units, validity, and what goes to the model."""
