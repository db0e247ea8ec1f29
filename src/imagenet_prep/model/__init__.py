"""What travels: values that workers, verbs and the command line hand to each other. No NumPy, no Arrow, no files."""
