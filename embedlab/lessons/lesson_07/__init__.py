"""What only lesson 07 uses."""
