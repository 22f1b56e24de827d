"""Pretrained networks from torchvision and others, and downloading their weights."""
