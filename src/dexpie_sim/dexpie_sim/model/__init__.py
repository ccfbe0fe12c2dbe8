"""MuJoCo models of the arm, the hand and the room, built from primitives in code."""
