"""The command line: one file that parses and prints, and the demo."""
