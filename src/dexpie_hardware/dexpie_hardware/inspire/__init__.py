"""Driver of the Inspire RH56DFX hand."""
