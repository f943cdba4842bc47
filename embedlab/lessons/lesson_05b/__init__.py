"""What only lesson 05b uses."""
