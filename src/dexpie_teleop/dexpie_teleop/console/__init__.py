"""The operator's console: who drives, what is collected, what is late; a key for each action."""
