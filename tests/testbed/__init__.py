"""The tests' own devices: an OpenSSH server on loopback, boards in name spaces of their own, and links that fail."""
