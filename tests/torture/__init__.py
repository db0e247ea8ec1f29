"""Long trials of the two great promises: nothing is lost by a kill, and no damage goes unseen. See ``make torture``."""
