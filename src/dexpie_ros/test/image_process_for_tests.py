"""Publisher or subscriber process of 640x480 rgb8 images, for test_ros_images.py."""

import sys
import time

import numpy as np
import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from sensor_msgs.msg import Image

from dexpie_core.topics import TopicSpec
from dexpie_ros.factory import make
from dexpie_ros.qos import profile

SIZE = 640 * 480 * 3


def topic(camera: str) -> TopicSpec:
    return TopicSpec(f"/camera/{camera}/color/image_raw", "sensor_msgs/msg/Image", "sensor")


def publish(camera: str, count: int, rate_hz: float) -> None:
    """Waits for the subscriber, then sends `count` images that carry their number as frame_id."""
    node = rclpy.create_node(f"{camera}_camera")
    publisher = node.create_publisher(Image, topic(camera).name, profile(topic(camera)))
    pixels = np.zeros(SIZE, dtype=np.uint8)
    sent = 0

    def tick() -> None:
        nonlocal sent
        if publisher.get_subscription_count() == 0:
            return
        if sent == count:
            raise SystemExit
        message = make(
            "sensor_msgs/msg/Image", height=480, width=640, step=1920, encoding="rgb8", data=pixels
        )
        message.header.frame_id = str(sent)
        publisher.publish(message)
        sent += 1

    node.create_timer(1.0 / rate_hz, tick)
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    try:
        executor.spin()
    except SystemExit:
        time.sleep(0.5)  # lets the last images leave
    print(sent, flush=True)


def subscribe(cameras: list[str]) -> None:
    """Counts images until SIGINT; prints how many whole ones came."""
    node = rclpy.create_node("image_counter")
    seen: set[tuple[str, str]] = set()

    def receive(camera: str, message: Image) -> None:
        if len(message.data) == SIZE:
            seen.add((camera, message.header.frame_id))

    for camera in cameras:
        node.create_subscription(
            Image, topic(camera).name, lambda m, camera=camera: receive(camera, m), profile(topic(camera))
        )
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    print("ready", flush=True)
    try:
        executor.spin()
    except (ExternalShutdownException, KeyboardInterrupt):
        print(len(seen), flush=True)


if __name__ == "__main__":
    rclpy.init()
    if sys.argv[1] == "publish":
        publish(sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
    else:
        subscribe(sys.argv[2:])
