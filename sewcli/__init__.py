"""sew: efficient pre-trained speech recognition, from a corpus to a word error rate."""

__version__ = "0.1.0"
