"""The checks of ``semagram.verbs.audit``, one suspicion a file."""
