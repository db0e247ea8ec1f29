"""What other people's programs make of our files. Nothing here is skipped: `make test-readers` installs them all."""
