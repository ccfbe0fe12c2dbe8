"""Installs package dexpie_teleop."""

from setuptools import find_packages, setup

PACKAGE = "dexpie_teleop"

setup(
    name=PACKAGE,
    version="0.1.0",
    description="Teleoperation and execution: executor, human follower and episode manager nodes.",
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
            "executor_node = dexpie_teleop.executor_node:main",
            "follower_node = dexpie_teleop.follower_node:main",
            "episode_node = dexpie_teleop.episode_node:main",
            "console = dexpie_teleop.console.__main__:main",
        ]
    },
)
