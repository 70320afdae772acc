"""One file a command: its options as a typed dataclass, and ``run(arguments) -> exit status``."""
