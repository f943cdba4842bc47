"""What several embedders are made of."""
