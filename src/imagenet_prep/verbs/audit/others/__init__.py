"""Data sets that others made: what they are, and what is wrong with them."""
