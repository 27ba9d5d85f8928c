"""What one could pick instead of our own search, doing the same work."""
