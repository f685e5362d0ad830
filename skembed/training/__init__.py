"""Learning on batches: the one loop, nets over tables, seeds, devices, callbacks. Imports nothing until asked to."""
