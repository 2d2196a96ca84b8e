"""The gateways: one for each kind of client, and none knows another."""
