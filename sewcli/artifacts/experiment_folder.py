"""An experiment on disk: what a training run leaves in `exp/NAME`, and the verbs after it read."""

from __future__ import annotations

CONFIG = "config.yaml"  # the whole resolved config
DATA = "data.json"  # what tells the training data from others: counts, hours, digests
METRICS = "metrics.jsonl"  # a row an update and a validation: the truth of which TensorBoard is derived
TENSORBOARD = "tensorboard"
CHECKPOINTS = "checkpoints"  # step-N, each whole or absent
MODEL = "model"  # a Hugging Face model folder: the best so far
REJECTED = "rejected.jsonl"  # utterances that could not be used
DECODE = "decode"  # of decode folders
