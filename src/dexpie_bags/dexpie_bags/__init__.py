"""Episode bags: rosbag2 folders (MCAP) written whole, read decoded, and recovered after a kill. No rclpy."""

from dexpie_bags.reader import BagMessage, BagReader, BagSummary, EpisodeSummary, TopicSummary, summarise
from dexpie_bags.recover import Recovered, recover_partials
from dexpie_bags.typestore import deserialize, make, serialize, typestore
from dexpie_bags.writer import DiskFullError, EpisodeBagWriter

__all__ = [
    "BagMessage",
    "BagReader",
    "BagSummary",
    "DiskFullError",
    "EpisodeBagWriter",
    "EpisodeSummary",
    "Recovered",
    "TopicSummary",
    "deserialize",
    "make",
    "recover_partials",
    "serialize",
    "summarise",
    "typestore",
]
