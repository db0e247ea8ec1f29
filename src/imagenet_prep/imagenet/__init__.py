"""The facts of ILSVRC2012: archives, counts, classes, names."""
