"""Pictures of runs, datasets, labels and evaluations, as PNG files.

Importing it is light: matplotlib, torch and pyarrow are loaded when something is drawn.
"""
