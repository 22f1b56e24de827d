"""Measure how good a style, a checkpoint or an engine is. The metrics have the names that their papers give
them.
"""
