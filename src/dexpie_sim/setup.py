"""Installs package dexpie_sim."""

from setuptools import find_packages, setup

PACKAGE = "dexpie_sim"

setup(
    name=PACKAGE,
    version="0.1.0",
    description=(
        "MuJoCo cell with tasks, virtual operator and lockstep environment, and its real-time nodes."
    ),
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
            "cell_node = dexpie_sim.cell_node:main",
            "plant_node = dexpie_sim.plant_node:main",
            "camera_node = dexpie_sim.camera_node:main",
            "operator_node = dexpie_sim.operator_node:main",
        ]
    },
)
