"""What comes in: images, captioned scenes, wrong labels, bytes, weights; and what is refused."""
