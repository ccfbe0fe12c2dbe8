"""Experiments: pipelines of the other commands whose steps are cached by content and taken up again."""
