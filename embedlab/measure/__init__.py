"""What an embedding is asked, the chances in each answer, and what follows from it."""
