"""Ablations: what each part of the recipe is worth."""
