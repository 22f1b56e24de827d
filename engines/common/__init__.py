"""Helpers for the machine: folders, locks, images, processors, memory."""
