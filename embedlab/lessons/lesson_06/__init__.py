"""What only lesson 06 uses."""
