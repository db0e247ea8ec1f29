"""Values and pure functions: no files, no clock, no randomness, no processes. What is decided is decided
here.
"""
