"""The phone apps' gateway: one round trip, few bytes."""
