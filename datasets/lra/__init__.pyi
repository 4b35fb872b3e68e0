from .image import Image as Image
from .list_ops import ListOps as ListOps
from .pathfinder import Pathfinder as Pathfinder
from .retrieval import Retrieval as Retrieval
from .sequence_dataset import SequenceDataset as SequenceDataset
from .sequence_registry import SEQUENCE_DATASETS as SEQUENCE_DATASETS
from .sequence_registry import open_sequences as open_sequences
from .text import Text as Text
