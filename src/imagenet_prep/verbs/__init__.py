"""The verbs, one file each, or a folder where a verb has parts."""
