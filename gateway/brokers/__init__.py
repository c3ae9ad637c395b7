"""One file per kind of broker, named as its URL begins: how to open a connection and what its errors mean.

Each is imported when its broker is first used, for the libraries behind them take a third of a second to load.
"""
