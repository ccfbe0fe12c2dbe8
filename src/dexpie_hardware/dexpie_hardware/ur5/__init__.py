"""Driver of the UR5: a ROS node, and a servo process of its own that alone talks to the controller."""
