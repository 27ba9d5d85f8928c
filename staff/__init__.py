"""Those who work in Cadence Admin: their sign-ins, how long these last, and their second factor."""
