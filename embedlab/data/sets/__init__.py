"""The image sets, a file each; `load()` there gives the whole set in the course's one form."""
