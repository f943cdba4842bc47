"""What only lesson 06b uses."""
