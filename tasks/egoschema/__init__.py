"""EgoSchema."""
