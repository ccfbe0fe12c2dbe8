"""One module a command: its options as a frozen dataclass, and the function that does it."""
