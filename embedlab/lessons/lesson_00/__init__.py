"""What only lesson 00 uses."""
