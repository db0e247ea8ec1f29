"""The version, in one place for the program; pyproject.toml names the same, and a test compares them."""

__version__ = "0.1.0"
