"""DexPIE's front door: the node graph, the supervisor that runs it, and the command line."""
