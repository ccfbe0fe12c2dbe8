"""Installs package dexpie_hardware."""

from setuptools import find_packages, setup

PACKAGE = "dexpie_hardware"

setup(
    name=PACKAGE,
    version="0.1.0",
    description="Device drivers and the codecs of their wire protocols.",
    license="Apache-2.0",
    maintainer="DexPIE maintainers",
    maintainer_email="maintainers@dexpie.example",
    packages=find_packages(include=[PACKAGE, PACKAGE + ".*"]),
    package_data={"": ["py.typed"]},
    data_files=[
        ("share/ament_index/resource_index/packages", ["resource/" + PACKAGE]),
        ("share/" + PACKAGE, ["package.xml"]),
    ],
    install_requires=["setuptools"],
    zip_safe=False,
    entry_points={
        "console_scripts": [
            "ur5_driver = dexpie_hardware.ur5.driver_node:main",
            "inspire_hand_driver = dexpie_hardware.inspire.driver_node:main",
            "realsense_camera = dexpie_hardware.realsense.camera_node:main",
            "vive_tracker = dexpie_hardware.vive.tracker_node:main",
            "manus_glove = dexpie_hardware.manus.glove_node:main",
            "glove_ranges = dexpie_hardware.manus.ranges_cli:main",
            "ur_emulator = dexpie_hardware.emulators.ur.__main__:main",
            "inspire_emulator = dexpie_hardware.emulators.inspire.__main__:main",
            "glove_emulator = dexpie_hardware.emulators.glove:main",
            "tracker_emulator = dexpie_hardware.emulators.tracker:main",
            "emulator_control = dexpie_hardware.emulators.control:main",
        ]
    },
)
