"""The course as a whole: run it, keep it true, show it."""
