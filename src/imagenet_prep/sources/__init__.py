"""Bytes in: what the user has, where every image in it lies, and the way to its bytes."""
