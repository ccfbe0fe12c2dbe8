"""An Inspire RH56DFX hand on a pseudo-terminal."""
