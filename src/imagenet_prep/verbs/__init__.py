"""One verb a file: the only place where the core meets files, processes and formats."""
