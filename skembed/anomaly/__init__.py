"""Rows that are unlike the usual ones."""

from skembed.anomaly._neighbor_detector import NeighborAnomalyDetector

__all__ = ["NeighborAnomalyDetector"]
