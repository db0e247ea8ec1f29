"""The command line: turns flags into one options object a verb, and values into text. It decides nothing."""
