"""MuJoCo cell with tasks, virtual operator and lockstep environment, and its real-time nodes."""
