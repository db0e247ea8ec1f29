"""Fetch by URL, against a real server that does what servers do: it breaks off, stalls, ignores what it is asked for,
exchanges the file, sends a login page, lies about the length.

Every URL has a secret in its path and in its query, and every test ends with a search for it: see ``conftest``.
"""
