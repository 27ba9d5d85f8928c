"""The product in a terminal: starts everything on this machine and does the main job."""
