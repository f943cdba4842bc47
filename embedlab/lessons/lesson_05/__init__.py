"""What only lesson 05 uses."""
