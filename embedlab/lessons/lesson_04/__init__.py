"""What only lesson 04 uses."""
