"""Measurements of the product against cheap endpoints on this machine; nothing of the product imports this."""
