"""Learning for DexPIE: datasets from bags, models, training, evaluation and plots. No ROS."""
