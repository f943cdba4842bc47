"""What only lesson 08 uses."""
