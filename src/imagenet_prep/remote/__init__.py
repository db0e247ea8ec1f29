"""Bytes from elsewhere: servers and swarms."""
