"""What only lesson 02 uses."""
