"""Scoring: candidates, images, metrics and their comparison."""
