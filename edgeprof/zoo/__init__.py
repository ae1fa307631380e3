"""Models, images and metrics by name: what training and export share. Heavy packages are imported inside functions."""
