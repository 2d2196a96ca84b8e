"""The partners' gateway: documented, stable, and silent about what is inside."""
