"""The one training loop, where it runs, with which arithmetic, and random views."""
