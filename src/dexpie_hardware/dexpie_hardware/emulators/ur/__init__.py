"""A UR controller as its network clients see it: RTDE v2, the script port and the dashboard."""
