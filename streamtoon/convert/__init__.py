"""Conversions of video files."""
