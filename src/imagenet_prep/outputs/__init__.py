"""Bytes out and back: one module an output, and the table of all of them in ``base``."""
