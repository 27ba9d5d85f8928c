"""Wiring: settings, routes, Celery, problem answers. Nothing imports this package."""
