"""What `check.py` is made of."""
