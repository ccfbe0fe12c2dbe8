"""The Vive tracker: backends that hear it, and the judgement whether it is tracked."""
