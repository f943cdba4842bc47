"""What only lesson 03 uses."""
