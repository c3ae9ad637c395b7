"""Text to fields: pure functions on one message. No I/O, no clock, no randomness."""
