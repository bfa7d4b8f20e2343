"""Trained nets in the formats of other runtimes and packages, and back."""
