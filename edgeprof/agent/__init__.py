"""The device side: runs models and times them. Standard library, numpy and one runtime; Python 3.8 or newer.

Imports nothing of edgeprof outside this package, so that the folder can be zipped and run alone on a board.
"""
