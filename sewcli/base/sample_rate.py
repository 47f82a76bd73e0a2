"""The sampling rate of every model, of every prepared corpus and of all audio past the reader, in Hz."""

SAMPLE_RATE = 16_000
