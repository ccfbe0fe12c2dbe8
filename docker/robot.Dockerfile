# The robot computer's image: a ROS 2 distribution and this workspace built on it.
#   docker build -f docker/robot.Dockerfile -t dexpie-robot .
ARG ROS_DISTRO=kilted
FROM ros:${ROS_DISTRO}-ros-base
RUN apt-get update \
 && apt-get install -y --no-install-recommends make python3-venv python3-dev g++ libgl1 libegl1 libosmesa6 \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /opt/dexpie
COPY . .
RUN bash -c ". /opt/ros/${ROS_DISTRO}/setup.bash && make setup"
ENTRYPOINT ["bash", "-c", ". /opt/ros/${ROS_DISTRO}/setup.bash && exec ./dexpie \"$@\"", "dexpie"]
CMD ["--help"]
