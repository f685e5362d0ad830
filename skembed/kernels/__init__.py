"""Compiled kernels: plain arrays in, plain arrays out, no Python objects, the GIL released (numba).

Nothing is imported here, so that `import skembed` stays free of numba.
"""
