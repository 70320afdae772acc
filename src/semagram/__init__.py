"""semagram: language models whose text need not stand in a line, judged by the size of a file that decodes."""

__version__ = "0.1.0"
