"""The only package that speaks to Microsoft: plain Python, no Django, no models."""
