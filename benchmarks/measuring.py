"""Clock, machine and results of a benchmark that can run on a busy machine."""

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from bench import processor


def add_busy(parser: argparse.ArgumentParser) -> None:
    """Add the option ``--busy``."""
    parser.add_argument("--busy", action="store_true", help="processor time of one thread")


def start(busy: bool) -> tuple[Callable[[], float], dict[str, Any]]:
    """The clock, and results that begin with the machine, which is printed."""
    if busy:
        torch.set_num_threads(1)
    machine = {
        "processor": processor(),
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
        "torch": torch.__version__,
        "clock": "processor" if busy else "wall",
    }
    print(machine)
    return time.process_time if busy else time.perf_counter, {"machine": machine}


def write(path: Path | None, results: dict[str, Any]) -> None:
    """Write the results to a file, if one is given."""
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(results, indent=2) + "\n")
