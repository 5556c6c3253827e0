"""Training by several processes: who they are, how they reach each other, what each one keeps.

Read group.py (the ranks), launch.py (how they find each other), then messages.py, buckets.py and
shards.py: what they say to each other in a step. mpi.py is messages by MPI.
"""

from tinygrad_tx.distributed.group import ALONE, Group, Request
from tinygrad_tx.distributed.launch import end_of_job, join
from tinygrad_tx.distributed.shards import Shards

__all__ = ["ALONE", "Group", "Request", "Shards", "end_of_job", "join"]
