"""Devices over SSH: paramiko's only home."""
