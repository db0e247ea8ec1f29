"""Values of an audit of data sets that others made."""
