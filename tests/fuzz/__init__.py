"""Whatever bytes the parsers get. `make fuzz` searches longer than the tests do."""
