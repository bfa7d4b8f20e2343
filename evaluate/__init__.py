"""Measures trained nets: recall, WIDER FACE, landmarks, FDDB."""
