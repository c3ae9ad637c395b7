"""The whole: wiring, command line, HTTP, the pipeline and the hand-off to the case core."""

__version__ = "0.1.0"
