"""Teleoperation and execution: executor, human follower and episode manager nodes."""
