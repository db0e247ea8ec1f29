"""Open a finished data set for training: images by number, from any output that says where they lie."""
