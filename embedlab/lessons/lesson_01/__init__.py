"""What only lesson 01 uses."""
