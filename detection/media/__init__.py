"""Where images come from and where results go: what test.py is made of."""
