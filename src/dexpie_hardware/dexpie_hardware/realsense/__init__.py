"""Driver of the RealSense colour cameras, on pyrealsense2. One process for each camera."""
