"""Learning for DexPIE: datasets from bags, models, training, evaluation and plots. No ROS."""

import os

# Arrow's own allocator keeps what was freed, so that memory would grow with the rows that were converted.
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
