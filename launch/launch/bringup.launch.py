"""ros2 launch dexpie bringup.launch.py hardware:=sim task:=bottle [policy:=RUN] [record:=DIR] ...."""

from dexpie.launch_description import generate_launch_description

__all__ = ["generate_launch_description"]
