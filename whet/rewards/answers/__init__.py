"""What a completion answers and whether that is the known answer: extraction, exact numbers, comparison by text.
Nothing is evaluated here, no model is asked, and every function is linear in its text."""
