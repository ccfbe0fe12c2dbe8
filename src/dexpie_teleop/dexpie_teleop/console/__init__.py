"""The operator's console: a terminal interface over the services of the graph."""
