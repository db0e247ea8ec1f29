"""How files come into being and how finished work is remembered."""
