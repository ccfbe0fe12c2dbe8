"""Episode bags: rosbag2 folders (MCAP) written whole, read decoded, and recovered after a kill. No rclpy."""

from dexpie_bags.durable import move_to_trash
from dexpie_bags.loss import Loss
from dexpie_bags.reader import BagMessage, BagReader, header_stamp_ns
from dexpie_bags.recover import Recovered, recover_partials
from dexpie_bags.summary import BagSummary, EpisodeSummary, TopicSummary, summarise
from dexpie_bags.typestore import deserialize, make, serialize, typestore
from dexpie_bags.writer import DiskFullError, EpisodeBagWriter, WriteError, free_bytes

__all__ = [
    "BagMessage",
    "BagReader",
    "BagSummary",
    "DiskFullError",
    "EpisodeBagWriter",
    "EpisodeSummary",
    "Loss",
    "Recovered",
    "TopicSummary",
    "WriteError",
    "deserialize",
    "free_bytes",
    "header_stamp_ns",
    "make",
    "move_to_trash",
    "recover_partials",
    "serialize",
    "summarise",
    "typestore",
]
